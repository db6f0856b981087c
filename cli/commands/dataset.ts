/** steplog dataset FILE --preset sst2 --out DIR: converts rows, such as the published ones of a task, into datasets. */
import { mkdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { Part, Preparation } from "../../dataset/prepare.ts";
import { parts } from "../../dataset/prepare.ts";
import type { prepareFile } from "../../dataset/tasks.ts";
import { limitsFor } from "../../sandbox/limits.ts";
import { type Sandbox, inSandbox } from "../../sandbox/sandbox.ts";
import { limits } from "../../schema/limits.ts";
import { programPath } from "../../schema/package.ts";
import { counted } from "../../schema/units.ts";
import { noRows, requireRows, requireWritable } from "../files.ts";
import { integer, number } from "../options.ts";
import { print, printJson } from "../output.ts";
import type { FormatOptions } from "../preparation.ts";
import { addFormatOptions, formatOf } from "../preparation.ts";

interface DatasetOptions extends FormatOptions {
  readonly out: string;
  readonly validation: number;
  readonly test: number;
  readonly perClass?: number;
  readonly seed: number;
  readonly json?: true;
}

interface Written {
  readonly file: string;
  readonly rows: number;
  /** Number of rows for each completion; null when there are too many completions to be classes. */
  readonly classes: Readonly<Record<string, number>> | null;
}

/** With more distinct completions than this, they are not classes. */
const mostClasses = 20;

export function define(command: Command): void {
  const share = number((value) => value >= 0 && value < 1, "Give a share of the rows, from 0 to below 1.");
  addFormatOptions(command)
    .description("Convert rows as a task publishes them (JSON Lines, CSV or parquet) into datasets; docs/YOUR_DATA.md.")
    .argument("<file>", "the rows")
    .requiredOption("--out <folder>", "where to write training.jsonl, validation.jsonl and test.jsonl")
    .option("--validation <share>", "share of the rows for validation", share, 0)
    .option("--test <share>", "share of the rows for testing", share, 0)
    .option("--per-class <number>", "training rows per completion; the default is all", integer(1, limits.datasetRows))
    .option("--seed <number>", "seed of the split and the sample", integer(0, 2 ** 32 - 1), 0)
    .option("--json", "print what was written as one JSON object")
    .addHelpText(
      "after",
      "\nExample:\n  steplog dataset train.parquet --preset SST2 --per-class 16 --validation 0.1 --out sst2",
    )
    .action(dataset);
}

async function dataset(file: string, options: DatasetOptions): Promise<void> {
  const preparation = preparationOf(options);
  await requireRows(file);
  await requireWritable(options.out, "folder");
  await mkdir(options.out, { recursive: true });
  const written: Written[] = [];
  await inSandbox(async (sandbox) => {
    for (const part of partsOf(options)) {
      // Only training rows are sampled; validation and test keep all of theirs.
      const perClass = part === "TRAINING" ? options.perClass : undefined;
      const to = join(options.out, `${part.toLowerCase()}.jsonl`);
      const made = await prepareIn(sandbox, file, { ...preparation, part, perClass }, to);
      // Of few rows, a small share for validation or testing may be none.
      if (part === "TRAINING" && made.rows === 0) throw noRows(file);
      written.push({ file: to, ...made });
    }
  });
  if (options.json) printJson({ written });
  else for (const one of written) print(summaryOf(one));
}

/** @throws DATASET_INVALID */
async function prepareIn(sandbox: Sandbox, file: string, preparation: Preparation, to: string) {
  const path = resolve(file);
  return sandbox.run<typeof prepareFile>({
    file: programPath("dataset/tasks"),
    name: "prepareFile",
    input: { path, preparation, to: resolve(to), mostClasses },
    limits: limitsFor((await stat(path)).size),
    blame: { code: "DATASET_INVALID", doing: `Reading ${file}` },
  });
}

function preparationOf(options: DatasetOptions): Preparation {
  const { validation, test, seed } = options;
  return { ...formatOf(options), validationShare: validation, testShare: test, seed };
}

function partsOf({ validation, test }: DatasetOptions): Part[] {
  return parts.filter((part) => part === "TRAINING" || (part === "VALIDATION" ? validation > 0 : test > 0));
}

function allAlike(completion: string): string {
  return `all of them with ${JSON.stringify(completion)}: a model that always says so is right. Is the file sorted, and cut?`;
}

function summaryOf({ file, rows, classes }: Written): string {
  const counts = Object.entries(classes ?? {}).map(([name, count]) => `${count} ${JSON.stringify(name)}`);
  const [only] = Object.keys(classes ?? {});
  if (only !== undefined && counts.length === 1 && rows > 1) return `${file}: ${rows} rows, ${allAlike(only)}`;
  return `${file}: ${counted(rows, "row")}${counts.length > 1 ? ` (${counts.join(", ")})` : ""}`;
}
