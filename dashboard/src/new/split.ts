/** Splits own rows into those to train on, those to validate and those to test with. */
import { formatCounted } from "../format.ts";
import { parsed } from "./rows.ts";

export interface Row {
  readonly text: string;
  /** Of its first line, among all rows. */
  readonly number: number;
  /** Rows with the same one stay together. */
  readonly prompt: string;
}

export interface Rows {
  /** What every part begins with, such as the names of columns; "" for none. */
  readonly header: string;
  readonly rows: readonly Row[];
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
  readonly rows: number;
}

/** JSON Lines: a row without a prompt of text is a group of its own. */
export function linesOf(text: string): Rows {
  const rows = text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const prompt = parsed(line)?.["prompt"];
    return [{ text: line, number: index + 1, prompt: typeof prompt === "string" ? prompt : line }];
  });
  return { header: "", rows };
}

/**
 * A hash of the prompt and the seed decides, so that the same rows are always split in the same way, and rows with the same
 * prompt stay together. A part that is wanted has a row at least.
 */
export function split({ header, rows }: Rows, { validation, test, seed }: Shares): Part[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.prompt);
    if (group) group.push(row);
    else groups.set(row.prompt, [row]);
  }
  const drawn = [...groups].map(([prompt, group]) => ({ group, order: hash(`${seed} ${prompt}`) }));
  const left = drawn.toSorted((a, b) => a.order - b.order).map(({ group }) => group);
  const take = (of: Part["of"], share: number): Part => {
    const wanted = share === 0 ? 0 : Math.max(1, Math.round(share * rows.length));
    const taken: Row[] = [];
    while (taken.length < wanted && left.length > 1) taken.push(...(left.pop() ?? []));
    return partOf(of, header, taken);
  };
  const others = [take("test", test), take("validation", validation)];
  return [partOf("training", header, left.flat()), ...others].filter(({ rows: count }) => count > 0);
}

/** In the order of the file. */
function partOf(of: Part["of"], header: string, rows: readonly Row[]): Part {
  const sorted = rows.toSorted((a, b) => a.number - b.number);
  const all = header === "" ? sorted : [{ text: header, number: 1 }, ...sorted];
  const lines = all.flatMap(({ text, number }) => text.split("\n").map((_, index) => number + index));
  return { of, text: `${all.map(({ text }) => text).join("\n")}\n`, lines, rows: rows.length };
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
