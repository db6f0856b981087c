/** steplog dataset FILE --preset sst2 --out DIR: rows as a task publishes them, as datasets of a run. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { objectsOf } from "../../dataset/files.ts";
import type { Part, Preparation } from "../../dataset/prepare.ts";
import { parts, prepare } from "../../dataset/prepare.ts";
import type { PresetName } from "../../dataset/presets.ts";
import type { TextRow } from "../../dataset/jsonl.ts";
import { SteplogError } from "../../schema/errors.ts";
import { readUserFile } from "../files.ts";
import { print, printJson } from "../output.ts";

export interface DatasetOptions {
  readonly out: string;
  readonly preset?: PresetName;
  readonly template?: string;
  readonly labelField: string;
  /** JSON: {"0": " terrible", "1": " great"} */
  readonly labels?: Readonly<Record<string, string>>;
  readonly validation: number;
  readonly test: number;
  readonly perClass?: number;
  readonly seed: number;
  readonly json?: true;
}

interface Written {
  readonly file: string;
  readonly rows: number;
  /** Rows of each completion, where there are few. */
  readonly classes: Readonly<Record<string, number>> | null;
}

/** Completions that are counted; more are no classes. */
const mostClasses = 20;

export async function dataset(file: string, options: DatasetOptions): Promise<void> {
  const preparation = preparationOf(options);
  await readUserFile(file);
  await mkdir(options.out, { recursive: true });
  const written: Written[] = [];
  for (const part of partsOf(options)) {
    const rows: TextRow[] = [];
    // A sample is to learn from; what judges it has all its rows.
    const perClass = part === "TRAINING" ? options.perClass : undefined;
    for await (const row of prepare(objectsOf(file), { ...preparation, part, perClass })) rows.push(row);
    const path = join(options.out, `${part.toLowerCase()}.jsonl`);
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    written.push({ file: path, rows: rows.length, classes: classesOf(rows) });
  }
  if (options.json) printJson({ written });
  else for (const one of written) print(describe(one));
}

function preparationOf({ preset, template, labelField, labels, validation, test, seed }: DatasetOptions): Preparation {
  if (preset && template !== undefined) throw usage("Give --preset or --template, not both.");
  if (template !== undefined && !labels) throw usage("--template needs --labels.");
  const given = template !== undefined && labels ? { template: { prompt: template, labelField, labels } } : {};
  return { ...(preset && { preset }), ...given, validationShare: validation, testShare: test, seed };
}

function usage(message: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", message);
}

function partsOf({ validation, test }: DatasetOptions): Part[] {
  return parts.filter((part) => part === "TRAINING" || (part === "VALIDATION" ? validation > 0 : test > 0));
}

function classesOf(rows: readonly TextRow[]): Record<string, number> | null {
  const counts: Record<string, number> = {};
  for (const { completion } of rows) counts[completion] = (counts[completion] ?? 0) + 1;
  return Object.keys(counts).length <= mostClasses ? counts : null;
}

function describe({ file, rows, classes }: Written): string {
  const counts = Object.entries(classes ?? {}).map(([name, count]) => `${count} ${JSON.stringify(name)}`);
  return `${file}: ${rows} rows${counts.length > 1 ? ` (${counts.join(", ")})` : ""}`;
}
