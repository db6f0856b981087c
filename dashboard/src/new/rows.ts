/** What the page itself sees in rows before the service reads them: their format, their label words, and parts to split them into. */
import type { DatasetPreset } from "../../../client/browser.ts";
import { formatCounted } from "../format.ts";

export interface Seen {
  /** In words: what the format is, or what is wrong with it. */
  readonly words: string;
  /** One JSON object a line: the page can split it. */
  readonly isLines: boolean;
  /** Presets whose fields the rows have. */
  readonly presets: readonly DatasetPreset[];
}

interface KnownPreset {
  readonly name: DatasetPreset;
  /** "passage, question, label (or answer)". */
  readonly fields: string;
}

/** @param start the beginning of the file, or all of the rows; null for parquet */
export function recognise(start: string | null, known: readonly KnownPreset[]): Seen | null {
  if (start === null) return { words: "Parquet, with a column for each field.", isLines: false, presets: [] };
  const first = start.split("\n").find((line) => line.trim() !== "");
  if (first === undefined) return null;
  if (first.trimStart().startsWith("[")) {
    const words = "A JSON array. Rows must be JSON Lines: one object a line, without brackets and commas around them.";
    return { words, isLines: false, presets: [] };
  }
  const fields = fieldsOf(first);
  if (fields === null) return recogniseTable(first, known);
  const presets = presetsWith(fields, known);
  return { words: `JSON Lines: ${contentOf(fields, presets)}`, isLines: true, presets };
}

function fieldsOf(line: string): readonly string[] | null {
  const row = parsed(line);
  return row && Object.keys(row);
}

function parsed(line: string): Readonly<Record<string, unknown>> | null {
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
    return { words: "CSV: prompts and completions.", isLines: false, presets };
  if (columns.length > 1 && presets.length > 0)
    return { words: `CSV with ${columns.join(", ")}. ${presetAdvice(presets)}`, isLines: false, presets };
  const words = "Not recognised: the first line is no JSON object, and no header of CSV with known columns.";
  return { words, isLines: false, presets: [] };
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
export function suggestLabels(start: string | null): readonly string[] {
  const rows = (start ?? "").split("\n").flatMap((line) => {
    const row = parsed(line);
    return row ? [row] : [];
  });
  const completions = rows.map((row) => row["completion"]);
  if (!completions.every((one) => typeof one === "string") || rows.some((row) => "candidates" in row)) return [];
  const words = [...new Set(completions)];
  return words.length > 1 && words.length <= fewWords && 2 * words.length <= rows.length ? words.toSorted() : [];
}

export interface Shares {
  /** Shares of all rows, 0 to below 1 together. */
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
}

export interface Part {
  readonly of: "training" | "validation" | "test";
  readonly text: string;
  /** For each of its lines, the number that it had among all rows. */
  readonly lines: readonly number[];
}

/**
 * Splits JSON Lines. A hash of the prompt and the seed decides, so that the same rows are always split in the same way, and
 * rows with the same prompt stay together. A part that is wanted has a row at least.
 */
export function split(text: string, { validation, test, seed }: Shares): Part[] {
  const rows = text.split("\n").flatMap((line, index) => (line.trim() === "" ? [] : [{ line, number: index + 1 }]));
  const groups = new Map<string, typeof rows>();
  for (const row of rows) {
    const prompt = promptOf(row.line);
    const group = groups.get(prompt);
    if (group) group.push(row);
    else groups.set(prompt, [row]);
  }
  const drawn = [...groups].map(([prompt, group]) => ({ group, order: hash(`${seed} ${prompt}`) }));
  const left = drawn.toSorted((a, b) => a.order - b.order).map(({ group }) => group);
  const take = (of: Part["of"], share: number): Part => {
    const wanted = share === 0 ? 0 : Math.max(1, Math.round(share * rows.length));
    const taken: typeof rows = [];
    while (taken.length < wanted && left.length > 1) taken.push(...(left.pop() ?? []));
    return partOf(of, taken);
  };
  const others = [take("test", test), take("validation", validation)];
  return [partOf("training", left.flat()), ...others].filter(({ lines }) => lines.length > 0);
}

/** In the order of the file. */
function partOf(of: Part["of"], rows: readonly { readonly line: string; readonly number: number }[]): Part {
  const sorted = rows.toSorted((a, b) => a.number - b.number);
  return { of, text: `${sorted.map(({ line }) => line).join("\n")}\n`, lines: sorted.map(({ number }) => number) };
}

/** A row without a prompt of text is a group of its own. */
function promptOf(line: string): string {
  const prompt = parsed(line)?.["prompt"];
  return typeof prompt === "string" ? prompt : line;
}

/** 32 bits: FNV-1a with the last steps of murmur3, since the browser has no other hash on plain http. */
function hash(text: string): number {
  let bits = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) bits = Math.imul(bits ^ text.charCodeAt(at), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** "36 rows for training, 4 for validation". */
export function partsInWords(parts: readonly { readonly of: Part["of"]; readonly rows: number }[]): string {
  return parts.map(({ of, rows }, at) => `${at === 0 ? formatCounted(rows, "row") : rows} for ${of}`).join(", ");
}

/** What is looked at of rows before they are stored. */
export const startBytes = 256 * 1024;

/** Whole lines from the beginning of rows, few enough to be looked at while somebody types; null for parquet. */
export async function startOf(rows: Blob): Promise<string | null> {
  const text = await rows.slice(0, startBytes).text();
  if (text.startsWith("PAR1")) return null;
  const whole = rows.size <= startBytes ? text : text.slice(0, text.lastIndexOf("\n") + 1);
  return whole.replace(/^\uFEFF/u, "");
}
