/** Files that describe a run, or what the runs of a sweep share: their fields, and the datasets that they name. */
import { didYouMean } from "../schema/did-you-mean.ts";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { z } from "zod";
import type { SteplogClient } from "../client/index.ts";
import { SteplogError, asSteplogError } from "../schema/errors.ts";
import { wrongHyperparameters } from "../schema/hyperparameters.ts";
import { requireRows } from "./files.ts";
import { uploaded } from "./upload.ts";

/** A dataset: the path of a JSONL file, relative to the settings file, or the id of a stored one. */
const datasetSchema = z.union([z.string().min(1), z.strictObject({ id: z.string().min(1) })]);

/** Passed on as given: the service fills in defaults, because it knows the run that `from` continues. */
export const hyperparametersSchema = z.record(z.string(), z.unknown()).superRefine((given, context) => {
  for (const { path, message } of wrongHyperparameters(given)) {
    context.addIssue({ code: "custom", path: [...path], message });
  }
});

export const runFields = {
  name: z.string().optional(),
  /** Id of a checkpoint to continue from; everything else is then optional. */
  from: z.string().optional(),
  baseModel: z.string().optional(),
  dataset: datasetSchema.optional(),
  validationDataset: datasetSchema.optional(),
  testDataset: datasetSchema.optional(),
  labelWords: z.array(z.string()).optional(),
  calibrationPrompt: z.string().optional(),
  hyperparameters: hyperparametersSchema.optional(),
  keepWeights: z.boolean().optional(),
  tags: z.array(z.string()).optional(),
  metadata: z.array(z.strictObject({ key: z.string(), value: z.string() })).optional(),
  priority: z.int().optional(),
  /** Passed on: the service knows how long is too long. */
  expiry: z
    .union([
      z.strictObject({ ttl: z.number() }),
      z.strictObject({ at: z.string() }),
      z.strictObject({ never: z.literal(true) }),
    ])
    .optional(),
};

const roles = ["dataset", "validationDataset", "testDataset"] as const;
type Role = (typeof roles)[number];
type Rows = Readonly<Partial<Record<Role, z.output<typeof datasetSchema> | undefined>>>;

/** The datasets, and everything else. */
export function rowsApart<Run extends Rows>(run: Run): readonly [Rows, Omit<Run, Role>] {
  const { dataset, validationDataset, testDataset, ...rest } = run;
  return [{ dataset, validationDataset, testDataset }, rest];
}

/** @throws INVALID_ARGUMENT naming each field that is wrong */
export function parseFile<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  { file, value, what }: { readonly file: string; readonly value: unknown; readonly what: string },
) {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  const issues = parsed.error.issues.map((issue) => ({
    field: issue.path.join("."),
    message:
      issue.code === "unrecognized_keys" && issue.path.length === 0
        ? `${issue.message}.${didYouMean(issue.keys[0] ?? "", known)} The known keys are ${known.join(", ")}`
        : issue.message,
  }));
  throw new SteplogError("INVALID_ARGUMENT", `${file} does not describe ${what}.`, issues);
}

/** @throws NOT_FOUND naming the field and the file */
export async function requireDatasets(rows: Rows, here: string): Promise<void> {
  for (const role of roles) {
    const given = rows[role];
    if (typeof given === "string") await requireDataset(given, here, role);
  }
}

async function requireDataset(given: string, here: string, field: string): Promise<void> {
  try {
    await requireRows(resolve(here, given));
  } catch (error) {
    const { code, message } = asSteplogError(error);
    throw new SteplogError(code, message, [{ field, message: `is ${JSON.stringify(given)}` }], { cause: error });
  }
}

/** The ids of the datasets; files are stored first. */
export async function storedDatasets(
  client: SteplogClient,
  rows: Rows,
  { here, keyOf }: { readonly here: string; readonly keyOf: (role: string, path: string) => Key | Promise<Key> },
) {
  const ids: Partial<Record<Role, string>> = {};
  for (const role of roles) {
    const given = rows[role];
    if (typeof given === "object") ids[role] = given.id;
    if (typeof given !== "string") continue;
    const path = resolve(here, given);
    ids[role] = await uploaded(client, path, await keyOf(role, path));
  }
  return ids;
}

interface Key {
  readonly idempotencyKey?: string;
}

/** A repeated run must name the same datasets: the run's key gives them theirs. */
export function datasetKey(role: string, key: string | undefined): Key {
  if (key === undefined) return {};
  return { idempotencyKey: createHash("sha256").update(`${role} of ${key}`).digest("hex") };
}
