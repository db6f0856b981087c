/** What the page itself sees in rows before the service reads them: their format, and their label words. */
import type { DatasetPreset } from "../../../client/browser.ts";

export interface Seen {
  /** In words: what the format is, or what is wrong with it. */
  readonly words: string;
  /** As what the page can split them; null where it cannot. */
  readonly form: "JSONL" | "CSV" | "PARQUET" | null;
  /** Presets whose fields the rows have. */
  readonly presets: readonly DatasetPreset[];
}

interface KnownPreset {
  readonly name: DatasetPreset;
  /** "passage, question, label (or answer)". */
  readonly fields: string;
}

/** The beginning of rows. */
export interface Start {
  /** Whole lines; of parquet, its rows as JSON Lines; "" where there are none, or they cannot be read here. */
  readonly text: string;
  readonly isParquet: boolean;
}

export const noStart: Start = { text: "", isParquet: false };

export function recognise({ text, isParquet }: Start, known: readonly KnownPreset[]): Seen | null {
  const first = text.split("\n").find((line) => line.trim() !== "");
  if (first === undefined) return isParquet ? { words: unreadParquet, form: null, presets: [] } : null;
  if (first.trimStart().startsWith("[")) {
    const words = "A JSON array. Rows must be JSON Lines: one object a line, without brackets and commas around them.";
    return { words, form: null, presets: [] };
  }
  const fields = fieldsOf(first);
  if (fields === null) return recogniseTable(first, known);
  const presets = presetsWith(fields, known);
  const content = contentOf(fields, presets);
  if (isParquet) return { words: `Parquet: ${content}`, form: "PARQUET", presets };
  return { words: `JSON Lines: ${content}`, form: "JSONL", presets };
}

const unreadParquet =
  "Parquet, which cannot be read here. The service reads it when it is stored, and says what is wrong.";

function fieldsOf(line: string): readonly string[] | null {
  const row = parsed(line);
  return row && Object.keys(row);
}

/** A row of JSON Lines; null for a line that is none. */
export function parsed(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const row = JSON.parse(line) as unknown;
    return typeof row === "object" && row !== null && !Array.isArray(row) ? (row as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function contentOf(fields: readonly string[], presets: readonly DatasetPreset[]): string {
  if (fields.includes("messages")) return "conversations.";
  if (fields.includes("input_ids")) return "tokens and their labels.";
  if (fields.includes("prompt") && fields.includes("completion")) return "prompts and completions.";
  return `objects with ${fields.join(", ") || "no fields"}. ${presetAdvice(presets)}`;
}

function presetAdvice(presets: readonly DatasetPreset[]): string {
  if (presets.length === 0)
    return "They need prompt and completion, messages, or input_ids and labels; or the fields of a format below.";
  return `These are the fields of ${presets.join(", ")} as published: choose that format below.`;
}

/** Text that does not begin with an object: CSV if its first line has the names of known columns. */
function recogniseTable(first: string, known: readonly KnownPreset[]): Seen {
  const columns = first.split(/[,;\t]/u).map((name) => name.trim().replaceAll(/^"|"$/gu, ""));
  const presets = presetsWith(columns, known);
  if (columns.includes("prompt") && columns.includes("completion"))
    return { words: "CSV: prompts and completions.", form: "CSV", presets };
  if (columns.length > 1 && presets.length > 0)
    return { words: `CSV with ${columns.join(", ")}. ${presetAdvice(presets)}`, form: "CSV", presets };
  const words = "Not recognised: the first line is no JSON object, and no header of CSV with known columns.";
  return { words, form: null, presets: [] };
}

function presetsWith(fields: readonly string[], known: readonly KnownPreset[]): DatasetPreset[] {
  return known
    .filter(({ fields: wanted }) => neededOf(wanted).every((one) => fields.includes(one)))
    .map(({ name }) => name);
}

/** Of "instruction, input (may be missing), answers.text": instruction and answers. */
function neededOf(fields: string): string[] {
  const all = fields.split(/,(?![^(]*\))/u).map((one) => one.trim());
  return all.filter((one) => !one.includes("may be missing")).map((one) => one.split(/[ .]/u)[0] ?? one);
}

const fewWords = 8;

/** The completions, if they are so few that they must be the labels of classes. */
export function suggestLabels(text: string): readonly string[] {
  const rows = text.split("\n").flatMap((line) => {
    const row = parsed(line);
    return row ? [row] : [];
  });
  const completions = rows.map((row) => row["completion"]);
  if (!completions.every((one) => typeof one === "string") || rows.some((row) => "candidates" in row)) return [];
  const words = [...new Set(completions)];
  return words.length > 1 && words.length <= fewWords && 2 * words.length <= rows.length ? words.toSorted() : [];
}

/** What is looked at of rows before they are stored. */
export const startBytes = 256 * 1024;

/** Few enough rows of parquet for what reads them to be done at once. */
const startRows = 1_000;

/** The beginning of rows, small enough to be looked at while somebody types. */
export async function startOf(rows: Blob): Promise<Start> {
  const text = await rows.slice(0, startBytes).text();
  if (text.startsWith("PAR1")) {
    const { readParquet } = await import("./parquet.ts");
    const found = await readParquet(rows, { rows: startRows, characters: startBytes });
    return { text: found?.lines.join("\n") ?? "", isParquet: true };
  }
  const whole = rows.size <= startBytes ? text : text.slice(0, text.lastIndexOf("\n") + 1);
  return { text: whole.replace(/^\uFEFF/u, ""), isParquet: false };
}
