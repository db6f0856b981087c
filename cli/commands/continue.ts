/** steplog continue ID --steps N: more steps for a run that has ended, followed to their end. */
import { Client } from "../../client/client.ts";
import { readConfig } from "../config.ts";
import type { CreatedFineTune } from "../outcome.ts";
import { followToEnd } from "../outcome.ts";

export interface ContinueOptions {
  readonly url: string;
  readonly steps: number;
  readonly name?: string;
  readonly log?: string;
  readonly json?: true;
}

const continueMutation = `mutation ($input: ContinueFineTuneInput!) {
  continueFineTune(input: $input) { fineTune { id name hyperparameters { steps } } }
}`;

export async function continueRun(id: string, { url, steps, name, ...options }: ContinueOptions): Promise<void> {
  const client = new Client(url, readConfig().apiToken);
  const input = { fineTune: id, steps, ...(name !== undefined && { name }) };
  const { continueFineTune } = await client.query<{ continueFineTune: { fineTune: CreatedFineTune } }>(
    continueMutation,
    { input },
  );
  await followToEnd(client, continueFineTune.fineTune, options);
}
