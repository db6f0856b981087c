/** steplog tune FILE.json: creates the fine-tune that a settings file describes, on a running service, and follows it. */
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { wrongHyperparameters } from "../../schema/hyperparameters.ts";
import { SteplogClient } from "../../client/index.ts";
import { readConfig } from "../config.ts";
import { readUserJson } from "../files.ts";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";

/** A dataset: the path of a JSONL file, relative to the settings file, or the id of a stored one. */
const datasetSchema = z.union([z.string().min(1), z.strictObject({ id: z.string().min(1) })]);

const settingsSchema = z.strictObject({
  name: z.string().optional(),
  /** Id of a checkpoint to continue from; everything else is then optional. */
  from: z.string().optional(),
  baseModel: z.string().optional(),
  dataset: datasetSchema.optional(),
  validationDataset: datasetSchema.optional(),
  testDataset: datasetSchema.optional(),
  labelWords: z.array(z.string()).optional(),
  calibrationPrompt: z.string().optional(),
  /** Passed on as given: the service fills in defaults, because it knows the run that `from` continues. */
  hyperparameters: z
    .record(z.string(), z.unknown())
    .superRefine((given, context) => {
      for (const { path, message } of wrongHyperparameters(given)) {
        context.addIssue({ code: "custom", path: [...path], message });
      }
    })
    .optional(),
  idempotencyKey: z.string().optional(),
  keepWeights: z.boolean().optional(),
  /** Where to write the .steplog of the last checkpoint. */
  log: z.string().optional(),
});

type Settings = z.output<typeof settingsSchema>;

export function define(command: Command): void {
  command
    .description(
      "Create the fine-tune that a file describes on a running service, follow it, and exit with its outcome.",
    )
    .argument("<file.json>", "settings; docs/CLI.md lists the fields")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object instead of progress")
    .addHelpText("after", "\nExample:\n  steplog tune fine-tune.json --url http://127.0.0.1:4000")
    .action(tune);
}

async function tune(file: string, options: { url: string; json?: true }): Promise<void> {
  const settings = parseSettings(file, await readUserJson(file));
  const client = new SteplogClient({ url: options.url, token: readConfig().apiToken });
  const here = dirname(resolve(file));
  const idOf = async (dataset: z.output<typeof datasetSchema> | undefined) => {
    if (dataset === undefined) return undefined;
    if (typeof dataset !== "string") return dataset.id;
    const path = resolve(here, dataset);
    const { id } = await client.createDataset({ name: basename(path), path });
    return id;
  };
  const { log, name = basename(file, ".json"), dataset, validationDataset, testDataset, ...rest } = settings;
  const evaluation = { validationDataset: await idOf(validationDataset), testDataset: await idOf(testDataset) };
  const input = { ...rest, name, dataset: await idOf(dataset), ...evaluation };
  const fineTune = await client.createFineTune(input);
  await followToEnd(client, fineTune, { ...options, ...(log !== undefined && { log: resolve(here, log) }) });
}

function parseSettings(file: string, value: unknown): Settings {
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const known = Object.keys(settingsSchema.shape).join(", ");
  const issues = parsed.error.issues.map((issue) => ({
    field: issue.path.join("."),
    message: issue.code === "unrecognized_keys" ? `${issue.message}; the known keys are ${known}` : issue.message,
  }));
  throw new SteplogError("INVALID_ARGUMENT", `${file} does not describe a fine-tune.`, issues);
}
