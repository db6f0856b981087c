/** steplog tune FILE.json: creates the fine-tune that a file describes on a running service and follows it. */
import { writeFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { Client } from "../client.ts";
import { readConfig } from "../config.ts";
import { exitCodes, reportFailure } from "../exit.ts";
import { readUserJson } from "../files.ts";
import type { Outcome } from "../follow.ts";
import { follow } from "../follow.ts";
import { formatBytes, print, printJson } from "../output.ts";

/** A dataset is a JSONL file beside the settings, or the id of one that the service has. */
const datasetSchema = z.union([z.string().min(1), z.strictObject({ id: z.string().min(1) })]);

const settingsSchema = z.strictObject({
  name: z.string().optional(),
  baseModel: z.string(),
  dataset: datasetSchema,
  validationDataset: datasetSchema.optional(),
  labelWords: z.array(z.string()).optional(),
  hyperparameters: hyperparametersSchema.optional(),
  idempotencyKey: z.string().optional(),
  keepWeights: z.boolean().optional(),
  /** Where to write the last checkpoint's .steplog. */
  log: z.string().optional(),
});

type Settings = z.output<typeof settingsSchema>;

const createMutation = `mutation ($input: CreateFineTuneInput!) {
  createFineTune(input: $input) { fineTune { id name hyperparameters { steps } } }
}`;

interface Created {
  readonly createFineTune: { readonly fineTune: { id: string; name: string; hyperparameters: { steps: number } } };
}

export async function tune(file: string, options: { url: string; json?: true }): Promise<void> {
  const settings = parseSettings(file, await readUserJson(file));
  const client = new Client(options.url, readConfig().apiToken);
  const here = dirname(resolve(file));
  const idOf = async (dataset: z.output<typeof datasetSchema> | undefined) => {
    if (dataset === undefined) return undefined;
    if (typeof dataset !== "string") return dataset.id;
    const path = resolve(here, dataset);
    const { id } = await client.uploadDataset(basename(path), path);
    return id;
  };
  const { log, name = basename(file, ".json"), dataset, validationDataset, ...rest } = settings;
  const input = { ...rest, name, dataset: await idOf(dataset), validationDataset: await idOf(validationDataset) };
  const { createFineTune } = await client.query<Created>(createMutation, { input });
  const { fineTune } = createFineTune;
  if (!options.json) print(`Fine-tune ${fineTune.name} is ${fineTune.id}.`);

  const outcome = await follow(client, fineTune.id, fineTune.hyperparameters.steps);
  const [checkpoint] = outcome.checkpoints.nodes;
  if (log !== undefined && checkpoint) {
    await writeFile(resolve(here, log), Buffer.from(await (await client.download(checkpoint.logUrl)).arrayBuffer()));
  }
  if (options.json) printJson(outcome);
  else report(outcome, log);
  process.exitCode = exitCodeOf(outcome);
}

function parseSettings(file: string, value: unknown): Settings {
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
  throw new SteplogError("INVALID_ARGUMENT", `${file} does not describe a fine-tune.`, issues);
}

function report(outcome: Outcome, log: string | undefined): void {
  const { step: steps, skippedSteps, zeroSteps } = outcome.progress;
  const unmoved = zeroSteps > 0 ? `, ${zeroSteps} without a difference` : "";
  print(`${outcome.status} after ${steps} steps (${skippedSteps} skipped${unmoved}).`);
  for (const { step, rows, loss, accuracy } of outcome.evaluations) {
    const share = accuracy === null ? "" : `, accuracy ${(100 * accuracy).toFixed(1)}%`;
    print(`  at step ${step}: loss ${loss.toFixed(4)}${share} on ${rows} validation rows`);
  }
  const [checkpoint] = outcome.checkpoints.nodes;
  if (checkpoint) print(`  checkpoint ${checkpoint.id}: ${formatBytes(checkpoint.logBytes)} at ${checkpoint.logUrl}`);
  if (checkpoint && log !== undefined) print(`  its log is in ${log}`);
  if (outcome.error) reportFailure(outcome.error);
}

function exitCodeOf({ status }: Outcome): number {
  if (status === "SUCCEEDED") return exitCodes.done;
  return status === "CANCELLED" ? exitCodes.runCancelled : exitCodes.runFailed;
}
