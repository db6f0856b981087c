/**
 * steplog tune FILE.json: creates the fine-tune that a settings file describes, on a running service, and follows it; or, with
 * --dry-run, says what it would take.
 */
import { createHash } from "node:crypto";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import { wrongHyperparameters } from "../../schema/hyperparameters.ts";
import type { SteplogClient } from "../../client/index.ts";
import { contentKey } from "../content-key.ts";
import { printEstimate } from "../estimate.ts";
import { readUserJson, requireReadable } from "../files.ts";
import { followToEnd } from "../follow.ts";
import { urlOption } from "../options.ts";
import { withService } from "../remote.ts";

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
    .option("--key <text>", "idempotency key: running the same file with the same key again follows the first run")
    .option("--dry-run", "create no fine-tune; show what it would take, and everything that would be refused")
    .addOption(urlOption())
    .option("--json", "print the outcome as one JSON object instead of progress")
    .addHelpText("after", "\nExample:\n  steplog tune fine-tune.json --url http://127.0.0.1:4000")
    .action(tune);
}

interface TuneOptions {
  readonly url: string;
  readonly key?: string;
  readonly json?: true;
  readonly dryRun?: true;
}

async function tune(file: string, { url, key, dryRun, ...options }: TuneOptions): Promise<void> {
  const given = parseSettings(file, await readUserJson(file));
  const { dataset, validationDataset, testDataset, log, name = basename(file, ".json"), ...rest } = given;
  const input = { ...rest, name, ...(key !== undefined && { idempotencyKey: key }) };
  const rows = { dataset, validationDataset, testDataset };
  const here = dirname(resolve(file));
  // Before the first of them is uploaded.
  for (const role of roles) await requireDataset(rows[role], here, role);
  const output = { ...options, ...(log !== undefined && { log: resolve(here, log) }) };
  await withService(url, async (service) => {
    if (dryRun) {
      const ids = await storedDatasets(service.client, rows, { here, keyOf: (_role, path) => contentKey(path) });
      printEstimate(await service.client.estimateFineTune({ ...input, ...ids }), ids, options.json ?? false);
      return;
    }
    const create = async () => {
      const ids = await storedDatasets(service.client, rows, {
        here,
        keyOf: (role) => datasetKey(role, input.idempotencyKey),
      });
      return service.client.createFineTune({ ...input, ...ids });
    };
    await followToEnd(service, create, output);
  });
}

type Rows = Pick<Settings, (typeof roles)[number]>;

const roles = ["dataset", "validationDataset", "testDataset"] as const;

/** @throws NOT_FOUND naming the field and the file */
async function requireDataset(given: Settings["dataset"], here: string, field: string): Promise<void> {
  if (typeof given !== "string") return;
  try {
    await requireReadable(resolve(here, given));
  } catch (error) {
    const { code, message } = asSteplogError(error);
    throw new SteplogError(code, message, [{ field, message: `is ${JSON.stringify(given)}` }], { cause: error });
  }
}

/** The ids of the run's datasets; files are stored first. */
async function storedDatasets(
  client: SteplogClient,
  rows: Rows,
  { here, keyOf }: { readonly here: string; readonly keyOf: (role: string, path: string) => Key | Promise<Key> },
) {
  const ids: Partial<Record<(typeof roles)[number], string>> = {};
  for (const role of roles) {
    const given = rows[role];
    if (typeof given === "object") ids[role] = given.id;
    if (typeof given !== "string") continue;
    const path = resolve(here, given);
    ids[role] = (await client.createDataset({ name: basename(path), path, ...(await keyOf(role, path)) })).id;
  }
  return ids;
}

interface Key {
  readonly idempotencyKey?: string;
}

/** A repeated run must name the same datasets: the run's key gives them theirs. */
function datasetKey(role: string, key: string | undefined): Key {
  if (key === undefined) return {};
  return { idempotencyKey: createHash("sha256").update(`${role} of ${key}`).digest("hex") };
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
