/** The newest rows of a run, which its subscribers share; older ones they read for themselves, a page at a time. */

import { invariant } from "../../schema/errors.ts";

/** Rows of one read, and of a window: the most of a run that a gateway keeps, and that a slow subscriber holds. */
export const pageRows = 500;

export interface Page<Row> {
  readonly rows: Row[];
  /** Whether what the rows are about had ended when they were read, so that no more will come. */
  readonly hasEnded: boolean;
}

/** return() ends it at once, even while a next() is waiting. */
export interface Rows<Row> extends AsyncIterableIterator<Row, void> {
  return(): Promise<IteratorResult<Row, void>>;
}

/** What comes in order, numbered without gaps. */
export interface Source<Row> {
  /** Number of the newest row, 0 if there is none. @throws NOT_FOUND */
  last(): Promise<number>;
  /** The next rows after the number, at most a page. @throws NOT_FOUND */
  read(after: number): Promise<Page<Row>>;
  indexOf(row: Row): number;
}

/** Rows `first`, `first` + 1, ... of something; it never changes. */
export interface Window<Row> {
  readonly first: number;
  readonly rows: readonly Row[];
  /** Whether the last of these rows is the last that there will be. */
  readonly hasEnded: boolean;
}

/** Begins after the newest row: a long history is not read for somebody who may want none of it. */
export async function grown<Row>(source: Source<Row>, before: Window<Row> | null): Promise<Window<Row>> {
  let window = before ?? { first: (await source.last()) + 1, rows: [], hasEnded: false };
  for (;;) {
    const end = window.first + window.rows.length;
    const { rows, hasEnded } = await source.read(end - 1);
    const [first] = rows;
    invariant(first === undefined || source.indexOf(first) === end, `row ${end} follows the one before it`);
    const isWhole = rows.length < pageRows;
    if (rows.length > 0 || (isWhole && hasEnded)) window = withRows(window, rows, isWhole && hasEnded);
    if (isWhole) return window;
  }
}

function withRows<Row>(window: Window<Row>, rows: readonly Row[], hasEnded: boolean): Window<Row> {
  const all = [...window.rows, ...rows];
  const dropped = Math.max(0, all.length - pageRows);
  return { first: window.first + dropped, rows: all.slice(dropped), hasEnded };
}
