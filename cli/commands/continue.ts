/** steplog continue ID --steps N: creates a fine-tune that continues one that has ended, and follows it. */
import { SteplogClient } from "../../client/index.ts";
import { readConfig } from "../config.ts";
import { followToEnd } from "../follow.ts";

export interface ContinueOptions {
  readonly url: string;
  readonly steps: number;
  readonly name?: string;
  readonly log?: string;
  readonly json?: true;
}

export async function continueRun(id: string, { url, steps, name, ...options }: ContinueOptions): Promise<void> {
  const client = new SteplogClient({ url, token: readConfig().apiToken });
  const fineTune = await client.continue(id, { steps, ...(name !== undefined && { name }) });
  await followToEnd(client, fineTune, options);
}
