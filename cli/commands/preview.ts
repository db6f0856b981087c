/** steplog preview --model FOLDER --data FILE: rows as the model sees them, before they are trained on. */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import type { Preview, PreviewRow, PreviewToken } from "../../dataset/preview.ts";
import type { preview } from "../../dataset/tasks.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { tryInSandbox } from "../../models/folder-checks.ts";
import { limitsFor } from "../../sandbox/limits.ts";
import { inSandbox } from "../../sandbox/sandbox.ts";
import type { InputIssue } from "../../schema/errors.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { Truncation } from "../../schema/hyperparameter-table.ts";
import { hyperparameterTable } from "../../schema/hyperparameter-table.ts";
import { limits } from "../../schema/limits.ts";
import { programPath } from "../../schema/package.ts";
import { counted } from "../../schema/units.ts";
import { requireRows } from "../files.ts";
import { integer } from "../options.ts";
import { print, printJson } from "../output.ts";
import type { FormatOptions } from "../preparation.ts";
import { addFormatOptions, formatOf } from "../preparation.ts";

interface PreviewOptions extends FormatOptions {
  readonly model: string;
  readonly data: string;
  readonly rows: number;
  readonly labelWords: readonly string[];
  readonly truncate: Truncation;
  readonly prefixLength: number;
  readonly json?: true;
}

export function define(command: Command): void {
  addFormatOptions(
    command
      .description(
        "Show rows of a file as a model sees them, before they are trained on, and why rows would be refused.",
      )
      .requiredOption("--model <folder>", "a model in Hugging Face layout")
      .requiredOption("--data <file>", "rows in JSON Lines, CSV or parquet"),
  )
    .option("--rows <number>", "rows to show", integer(1, limits.previewShown), 5)
    .option("--label-words <word...>", "label words of the run", [])
    .addOption(
      new Option("--truncate <side>", "what happens to rows that are longer than the context")
        .choices(Object.keys(hyperparameterTable.truncate.values))
        .default(hyperparameterTable.truncate.default),
    )
    .option("--prefix-length <tokens>", "tokens of the context that a prefix takes", integer(0, limits.prefixLength), 0)
    .option("--json", "print the preview as one JSON object")
    .addHelpText(
      "after",
      "\nTokens are separated by |, and scored ones are in brackets.\n\nExample:\n  steplog preview --model models/opt-125m --data rows.jsonl",
    )
    .action(show);
}

async function show(options: PreviewOptions): Promise<void> {
  const format = formatOf(options);
  await requireRows(options.data);
  const folder = resolve(options.model);
  const path = resolve(options.data);
  const seen = await inSandbox(async (sandbox) => {
    await tryInSandbox(sandbox, { path: folder });
    const { architecture } = await openModelFolder(folder);
    const { contextLength, kind } = architecture;
    const { truncate, prefixLength: taken } = options;
    if (taken >= contextLength) throw noRoom(taken, contextLength);
    return sandbox.run<typeof preview>({
      file: programPath("dataset/tasks"),
      name: "preview",
      input: {
        folder,
        model: basename(folder),
        tokenizerKey: folder,
        bounds: { contextLength, kind, truncate, taken },
        path,
        preparation: format,
        labelWords: options.labelWords,
        show: options.rows,
      },
      limits: limitsFor((await stat(path)).size),
      blame: { code: "DATASET_INVALID", doing: `Reading ${options.data}` },
    });
  });
  if (options.json) printJson(seen);
  else printPreview(seen);
}

function noRoom(taken: number, contextLength: number): SteplogError {
  const message = `--prefix-length ${taken} leaves no room in the model's context of ${counted(contextLength, "token")}.`;
  return new SteplogError("INVALID_ARGUMENT", message, [{ field: "--prefix-length", message }]);
}

function printPreview({ rows, counted: read, refused, issues, tokens, notes }: Preview): void {
  rows.forEach(printRow);
  print(`${counted(read, "row")} read, ${refused} refused.`);
  if (read > refused) {
    const { total, scored, min, max, mean } = tokens;
    print(
      `${counted(total, "token")}, ${scored} of them scored; ${min} to ${max} in a row, ${mean.toFixed(1)} on average.`,
    );
  }
  const shown = new Set(rows.flatMap((row) => row.issues.map(({ line }) => line)));
  for (const issue of issues) if (!shown.has(issue.line)) print(wordsOf(issue));
  notes.forEach((note) => print(note));
}

function printRow({ line, tokens, length, scored, cutTokens, issues }: PreviewRow): void {
  const cut = cutTokens > 0 ? `, ${cutTokens} cut` : "";
  print(`line ${line}: ${counted(length, "token")}, ${scored} scored${cut}`);
  const more = length > tokens.length ? `| ... ${length - tokens.length} more` : "";
  if (tokens.length > 0) print(`  ${tokens.map(tokenText).join("|")}${more}`);
  for (const issue of issues) print(`  ${wordsOf(issue)}`);
}

/** Control characters as in JSON, so that a row is one line. */
function tokenText({ id, text, scored, target }: PreviewToken): string {
  const visible = (part: string) => JSON.stringify(part).slice(1, -1).replaceAll('\\"', '"');
  const seen = text === null ? String(id) : visible(text);
  if (!scored) return seen;
  return target === null ? `[${seen}]` : `[${seen} -> ${visible(target)}]`;
}

function wordsOf({ line, field, message }: InputIssue): string {
  const where = [line === undefined ? "" : `line ${line}`, field ?? ""].filter((part) => part !== "").join(", ");
  return where === "" ? message : `${where}: ${message}`;
}
