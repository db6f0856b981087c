/**
 * Rows of a task as the dataset of a run: converted, equal ones kept once, a part of a split, some of each class. All of it goes
 * by hashes of the rows and a seed, so it does not depend on the order of a file, parts are disjoint, and the same rows
 * come out on any machine. Only the hashes are kept in memory, and of a sample its rows.
 */
import { createHash } from "node:crypto";
import type { TextRow } from "./jsonl.ts";
import { IssueList, readObjects } from "./jsonl.ts";
import type { PresetName } from "./presets.ts";
import { presets } from "./presets.ts";
import type { Convert, LabelTemplate, TaskRow } from "./template.ts";
import { byTemplate } from "./template.ts";

export const parts = ["TRAINING", "VALIDATION", "TEST"] as const;
export type Part = (typeof parts)[number];

export interface Preparation {
  /** How rows are published; rows of prompt and completion when both are left out. */
  readonly preset?: PresetName | undefined;
  readonly template?: LabelTemplate | undefined;
  /** The part of a split by `seed`, whose shares are of all rows; all rows when left out. */
  readonly part?: Part | undefined;
  readonly validationShare?: number | undefined;
  readonly testShare?: number | undefined;
  /** Rows of each completion, drawn by `seed`; all when left out. */
  readonly perClass?: number | undefined;
  readonly seed?: number | undefined;
}

export interface NumberedObject {
  readonly line: number;
  readonly value: TaskRow;
}

/** Prepared rows as JSON Lines. @throws DATASET_INVALID with the first wrong lines */
export async function* preparedLines(
  rows: AsyncIterable<NumberedObject>,
  preparation: Preparation,
): AsyncGenerator<Uint8Array> {
  for await (const row of prepare(rows, preparation)) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

/** The objects of a JSON Lines file, for `preparedLines`. @throws DATASET_INVALID */
export const jsonRows: (source: AsyncIterable<Uint8Array>) => AsyncIterable<NumberedObject> = readObjects;

export async function* prepare(rows: AsyncIterable<NumberedObject>, preparation: Preparation): AsyncGenerator<TextRow> {
  const { perClass, seed = 0 } = preparation;
  const wanted = inPart(unique(convertAll(rows, converterOf(preparation))), preparation);
  yield* perClass === undefined ? wanted : sample(wanted, perClass, seed);
}

function converterOf({ preset, template }: Preparation): Convert {
  if (preset) return presets[preset].convert;
  return template ? byTemplate(template) : asTextRow;
}

function asTextRow(row: TaskRow) {
  if (typeof row["prompt"] === "string" && typeof row["completion"] === "string") {
    return { row: row as unknown as TextRow };
  }
  const message = "is no row of prompt and completion; say by a preset or template how the rows are published";
  return { issues: [{ field: "prompt", message }] };
}

async function* convertAll(rows: AsyncIterable<NumberedObject>, convert: Convert): AsyncGenerator<TextRow> {
  const issues = new IssueList();
  for await (const { line, value } of rows) {
    const converted = convert(value);
    if ("row" in converted) yield converted.row;
    else issues.add(...converted.issues.map((issue) => ({ line, ...issue })));
  }
  issues.throwIfAny("rows cannot be converted");
}

/** The same prompt with the same completion is one row, wherever it stands. */
async function* unique(rows: AsyncIterable<TextRow>): AsyncGenerator<TextRow> {
  const seen = new Set<string>();
  for await (const row of rows) {
    const key = hash("row", row).toString("base64");
    if (seen.has(key)) continue;
    seen.add(key);
    yield row;
  }
}

async function* inPart(rows: AsyncIterable<TextRow>, preparation: Preparation): AsyncGenerator<TextRow> {
  const { part, validationShare = 0, testShare = 0, seed = 0 } = preparation;
  for await (const row of rows) {
    // By the prompt alone: one prompt with two completions must not be learned from and tested on.
    const place = fraction(hash(`part ${seed}`, { prompt: row.prompt }));
    const its = place < testShare ? "TEST" : place < testShare + validationShare ? "VALIDATION" : "TRAINING";
    if (part === undefined || part === its) yield row;
  }
}

interface Drawn {
  readonly row: TextRow;
  readonly order: number;
}

/** The `count` rows of each completion that come first by their hashes, the completions in turn. */
async function* sample(rows: AsyncIterable<TextRow>, count: number, seed: number): AsyncGenerator<TextRow> {
  const classes = new Map<string, Drawn[]>();
  for await (const row of rows) {
    const drawn = classes.get(row.completion) ?? [];
    classes.set(row.completion, drawn);
    drawn.push({ row, order: fraction(hash(`order ${seed}`, row)) });
    if (drawn.length > count) drawn.splice(0, drawn.length, ...drawn.toSorted(byOrder).slice(0, count));
  }
  const names = [...classes.keys()].toSorted();
  const all = names.map((name) => (classes.get(name) ?? []).toSorted(byOrder));
  const most = Math.max(0, ...all.map((drawn) => drawn.length));
  for (let i = 0; i < most; i++) yield* all.flatMap((drawn) => drawn[i]?.row ?? []);
}

function byOrder(a: Drawn, b: Drawn): number {
  return a.order - b.order;
}

function hash(purpose: string, { prompt, completion = "" }: { prompt: string; completion?: string }): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([purpose, prompt, completion]))
    .digest();
}

/** 48 bits of a hash, 0 to 1. */
function fraction(digest: Buffer): number {
  return digest.readUIntBE(0, 6) / 2 ** 48;
}
