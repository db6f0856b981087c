/**
 * Lists that come page by page, as every command that lists something prints them: --limit rows, those after --after, or --all
 * of them; then, if there are more, how many there are and how to get them. With --json, {rows, totalCount, next}.
 */
import type { Command } from "commander";
import { SteplogError } from "../schema/errors.ts";
import { integer } from "./options.ts";
import { print, printJson } from "./output.ts";
import { partsOf, shortId } from "./short-ids.ts";

export interface PageOptions {
  readonly limit: number;
  readonly after?: string;
  readonly all?: true;
}

/** @param what stands for a row on the command line: an id, a name */
export function addPageOptions(command: Command, what: string, limit = 20): Command {
  return command
    .option("--limit <number>", "most rows to print", integer(1, 10_000), limit)
    .option(`--after <${what}>`, "those after this one: the last that was printed")
    .option("--all", "all rows, however many");
}

export interface Paging {
  readonly first: number;
  readonly after: string | null;
  /** Whether to tell how many rows all pages have: it is counted once, with the first of them. */
  readonly counted: boolean;
}

export interface Connection<Row> {
  readonly nodes: readonly Row[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  /** Of all pages; left out where nobody asked, or it is not known. */
  readonly totalCount?: number;
}

export type ReadPage<Row> = (page: Paging) => Promise<Connection<Row>>;

/** The most that the API gives at a time. */
export const largestPage = 100;

/** As many rows as are wanted; `next` is the cursor of the last one if there are more. */
export interface Listed<Row> {
  readonly rows: readonly Row[];
  readonly next: string | null;
  /** How many rows all pages have; null where that is not known. */
  readonly total: number | null;
}

export async function pages<Row>(
  options: PageOptions,
  start: string | null,
  read: ReadPage<Row>,
): Promise<Listed<Row>> {
  const all: Row[] = [];
  let end: Omit<Listed<Row>, "rows"> = { next: null, total: null };
  for await (const { rows, ...rest } of eachPage(options, start, read)) {
    all.push(...rows);
    end = rest;
  }
  return { rows: all, ...end };
}

/** The same as they come, for what may be long. */
export async function* eachPage<Row>(
  { limit, all }: PageOptions,
  start: string | null,
  read: ReadPage<Row>,
): AsyncGenerator<Listed<Row>> {
  let [left, after] = [all ? Number.POSITIVE_INFINITY : limit, start];
  let total: number | null = null;
  for (let counted = true; ; counted = false) {
    const { nodes, pageInfo, totalCount } = await read({ first: Math.min(largestPage, left), after, counted });
    total ??= totalCount ?? null;
    const next = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    yield { rows: nodes, next, total };
    [left, after] = [left - nodes.length, next];
    if (next === null || left <= 0) return;
  }
}

export async function allOf<Row>(read: ReadPage<Row>): Promise<readonly Row[]> {
  return (await pages({ limit: largestPage, all: true }, null, read)).rows;
}

/** A page of what is read by a limit and a cursor, and says nothing of what follows. */
export async function connectionOf<Row>(
  { first, after, counted }: Paging,
  cursorOf: (row: Row) => string,
  read: (limit: number, after: string | undefined) => Promise<readonly Row[]>,
  count?: () => Promise<number>,
): Promise<Connection<Row>> {
  const found = await read(first + 1, after ?? undefined);
  const nodes = found.slice(0, first);
  const last = nodes.at(-1);
  const endCursor = last === undefined ? null : cursorOf(last);
  const total = counted && count ? { totalCount: await count() } : {};
  return { nodes, pageInfo: { hasNextPage: found.length > first, endCursor }, ...total };
}

/**
 * A page of a list that the service gives whole.
 * @param isNamed whether a row is the one that --after names, by its cursor or its short id
 * @throws INVALID_ARGUMENT where none is
 */
export function cutFrom<Row>(
  all: readonly Row[],
  { first, after }: Paging,
  cursorOf: (row: Row) => string,
  isNamed: (row: Row, name: string) => boolean = (row, name) => cursorOf(row).startsWith(name),
): Connection<Row> {
  const last = after === null ? -1 : all.findIndex((row) => isNamed(row, after));
  if (after !== null && last < 0)
    throw new SteplogError("INVALID_ARGUMENT", `--after ${JSON.stringify(after)} is not in this list.`);
  const nodes = all.slice(last + 1, last + 1 + first);
  const end = nodes.at(-1);
  const hasNextPage = last + 1 + nodes.length < all.length;
  return { nodes, pageInfo: { hasNextPage, endCursor: end ? cursorOf(end) : null }, totalCount: all.length };
}

/** A cursor is the UUID of a row. */
export async function afterOf(
  { after }: PageOptions,
  idFor: (given: string) => Promise<string>,
): Promise<string | null> {
  if (after === undefined) return null;
  // As `next` of --json gives it.
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(after)) return after;
  const id = await idFor(after);
  return partsOf(id)?.uuid ?? id;
}

interface Listing<Row> {
  /** In the plural: their key in the JSON. */
  readonly noun: string;
  /** What --after takes for a row. */
  readonly nameOf: (row: Row) => string;
  /** Said where there are none. */
  readonly none: string;
  readonly printRows: (rows: readonly Row[]) => void;
}

export function printPage<Row>(
  listed: Listed<Row>,
  { json }: { readonly json?: true },
  { noun, nameOf, none, printRows }: Listing<Row>,
): void {
  const { rows, next, total } = listed;
  if (json) return printJson({ [noun]: rows, ...(total !== null && { totalCount: total }), next });
  if (rows.length === 0) return print(none);
  printRows(rows);
  sayMore(listed, { noun, nameOf });
}

export function sayMore<Row>(
  { rows, next, total }: Listed<Row>,
  { noun, nameOf }: Pick<Listing<Row>, "noun" | "nameOf">,
): void {
  const last = rows.at(-1);
  if (next === null || last === undefined) return;
  const many = total === null ? noun : `of ${total} ${noun}`;
  print(`\n${rows.length} ${many}. The next ones: the same with --after ${nameOf(last)}. All of them: --all`);
}

export const byShortId = ({ id }: { readonly id: string }) => shortId(id);
