/**
 * Checks that every row of a dataset fits a base model, in the sandbox. The store keeps the result: a run with the same
 * dataset, model and settings starts at once, also after a restart and from another gateway.
 */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Needs } from "../dataset/fit.ts";
import type { RowsToCheck, checkRows, compareRows } from "../dataset/tasks.ts";
import { limitsFor } from "../sandbox/limits.ts";
import { modelKindOf } from "../schema/model-kind.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Truncation } from "../schema/hyperparameters.ts";
import { programPath, version } from "../schema/package.ts";
import { canonicalJson } from "../schema/step-log.ts";
import type { RowFindings, RowNote } from "../schema/row-findings.ts";
import type { BaseModel, Dataset, RowsProblem } from "../schema/tables.ts";
import { withFiles } from "../store/store.ts";
import { rowsOf } from "./stored-rows.ts";
import type { Context } from "./context.ts";
import { withModelFolder } from "./model-folder.ts";

/** What else decides whether a row fits. */
export interface RowSettings {
  readonly labelWords: readonly string[];
  readonly needs: Needs | null;
  /** Tokens of the context that a prefix takes. */
  readonly taken: number;
  readonly truncate: Truncation;
}

/**
 * What there is to say of rows that fit.
 * @throws DATASET_INVALID with lines; MODEL_INVALID for a tokenizer or chat template that cannot be used
 */
export async function checkRowsFitModel(
  context: Context,
  model: BaseModel,
  dataset: Dataset,
  settings: RowSettings,
): Promise<RowFindings> {
  const { store } = context;
  const { problem, findings } = await withModelFolder(context, model, async (folder) => {
    const rows = await rowsToCheck(folder, model, settings);
    const key = keyOf(dataset, rows);
    const kept = await store.rowChecks.get(key);
    const checked = kept ?? (await check(context, dataset, rows));
    if (!kept) await store.rowChecks.keep(key, checked);
    return checked;
  });
  if (problem) throw new SteplogError("DATASET_INVALID", problem.message, problem.issues);
  return findings ?? { notes: [], oneClass: null, choices: "NONE" };
}

/** What there is to say of rows that are training rows too. */
export async function compareWithTraining(
  { sandbox, store, signal }: Context,
  training: Dataset,
  dataset: Dataset,
): Promise<readonly RowNote[]> {
  const digests = [training.sha256, dataset.sha256];
  const key = createHash("sha256").update(canonicalJson({ version, edition, digests })).digest("hex");
  const kept = await store.rowChecks.get(key);
  if (kept?.findings) return kept.findings.notes;
  const notes = await withFiles(rowsOf(store), async (pathOf) =>
    sandbox.run<typeof compareRows>({
      file: programPath("dataset/tasks"),
      name: "compareRows",
      input: { training: await pathOf(training), path: await pathOf(dataset) },
      limits: limitsFor(training.bytes + dataset.bytes),
      blame: { code: "DATASET_INVALID", doing: "Comparing the dataset with the training rows" },
      signal,
    }),
  );
  await store.rowChecks.keep(key, { problem: null, findings: { notes, oneClass: null, choices: "NONE" } });
  return notes;
}

type Rows = Omit<RowsToCheck, "path">;

async function rowsToCheck(
  folder: string,
  { name, hash, family, contextLength }: BaseModel,
  { taken, truncate, ...settings }: RowSettings,
): Promise<Rows> {
  const tokenizerKey = `${hash}\n${await tokenizerFiles(folder)}`;
  const bounds = { contextLength, taken, kind: modelKindOf(family), truncate };
  return { folder, model: name, tokenizerKey, bounds, ...settings };
}

/** Rises when checks find more than before, without another release. */
const edition = 3;

/** Everything that the result depends on, wherever the folder is. Another release may check otherwise. */
function keyOf({ sha256 }: Dataset, rows: Rows): string {
  return createHash("sha256")
    .update(canonicalJson({ version, edition, sha256, ...rows, folder: null }))
    .digest("hex");
}

/** What is wrong with the rows, or what else there is to say of them. */
type Checked =
  | { readonly problem: RowsProblem; readonly findings: null }
  | { readonly problem: null; readonly findings: RowFindings };

/** @throws what is not the rows' fault, or depends on the machine */
async function check({ sandbox, store, signal }: Context, dataset: Dataset, rows: Rows): Promise<Checked> {
  try {
    const { size } = await stat(join(rows.folder, "tokenizer.json")).catch(() => ({ size: 0 }));
    const findings = await withFiles(rowsOf(store), async (pathOf) =>
      sandbox.run<typeof checkRows>({
        file: programPath("dataset/tasks"),
        name: "checkRows",
        input: { ...rows, path: await pathOf(dataset) },
        limits: limitsFor(dataset.bytes + size),
        blame: { code: "DATASET_INVALID", doing: "Reading the dataset" },
        signal,
      }),
    );
    return { problem: null, findings };
  } catch (error) {
    if (!(error instanceof SteplogError) || error.code !== "DATASET_INVALID" || error.issues.length === 0) throw error;
    return { problem: { message: error.message, issues: error.issues }, findings: null };
  }
}

/** Names, sizes and times of the small files of a model, which change when its tokenizer or template does. */
export async function tokenizerFiles(folder: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.(?:json|jinja|txt|model)$/u.test(name));
  const files = names.toSorted().map(async (name) => {
    const { size, mtimeMs } = await stat(join(folder, name)).catch(() => ({ size: 0, mtimeMs: 0 }));
    return `${name} ${size} ${mtimeMs}`;
  });
  return (await Promise.all(files)).join("\n");
}
