/** Which recorded operations a result needs, and which of them blocks of rows go through together. */
import type { Recorded } from "./recorded.ts";
import { sharedBy } from "./recorded.ts";

/** In the order of recording. */
export function neededFor<V>(recorded: readonly Recorded<V>[], asked: Recorded<V>): Recorded<V>[] {
  const found = new Set<Recorded<V>>();
  const open = [asked];
  for (let next = open.pop(); next; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    open.push(...next.operation.inputs, ...sharedBy(next.operation));
  }
  return recorded.filter((each) => found.has(each));
}

/**
 * Consecutive operations that blocks of rows go through together: as many as hold at most `heldBytes` of weights. Where that is
 * exceeded, the region ends at its narrowest place, so that what has to exist for all rows is small: after a feed-forward layer,
 * not in the middle of it.
 */
export function regionsOf<V>(needed: readonly Recorded<V>[], heldBytes: number): Recorded<V>[][] {
  const widths = widthsBefore(needed);
  const regions: Recorded<V>[][] = [];
  for (let start = 0; start < needed.length; start += regions.at(-1)?.length ?? 0) {
    let end = start + 1;
    let held = heldBy(needed[start]);
    while (end < needed.length && joins(needed, start, end) && held + heldBy(needed[end]) <= heldBytes) {
      held += heldBy(needed[end]);
      end += 1;
    }
    if (end < needed.length && joins(needed, start, end)) end = narrowest(widths, start + 1, end);
    regions.push(needed.slice(start, end));
  }
  return regions;
}

function heldBy<V>(recorded: Recorded<V> | undefined): number {
  return recorded?.operation.kind === "blocks" ? (recorded.operation.held ?? 0) : 0;
}

/** Whether an operation can follow those from `start` on, block by block. */
function joins<V>(needed: readonly Recorded<V>[], start: number, at: number): boolean {
  const [first, next] = [needed[start], needed[at]];
  if (first?.operation.kind !== "blocks" || next?.operation.kind !== "blocks" || next.rows !== first.rows) return false;
  const within = new Set(needed.slice(start, at));
  return !sharedBy(next.operation).some((input) => within.has(input));
}

/** Columns, over all sides, of the activations that are computed before each operation and used by it or later ones. */
function widthsBefore<V>(needed: readonly Recorded<V>[]): number[] {
  const lastUse = new Map<Recorded<V>, number>();
  needed.forEach(({ operation }, at) => {
    for (const input of [...operation.inputs, ...sharedBy(operation)]) lastUse.set(input, at);
  });
  const widths = Array.from({ length: needed.length + 1 }, () => 0);
  needed.forEach((recorded, at) => {
    const width = recorded.columns * recorded.operation.sides;
    for (let place = at + 1; place <= (lastUse.get(recorded) ?? at); place++)
      widths[place] = (widths[place] ?? 0) + width;
  });
  return widths;
}

/** The last of the narrowest places. */
function narrowest(widths: readonly number[], first: number, last: number): number {
  let best = first;
  for (let place = first; place <= last; place++) if ((widths[place] ?? 0) <= (widths[best] ?? 0)) best = place;
  return best;
}

/**
 * First row of each block, and the end, by the number of rows. A block has whole sequences, and as many as make the widest
 * activation of so many rows at most `cellElements` there; at least one.
 */
export function cutsOf<V>(needed: readonly Recorded<V>[], cellElements: number): Map<number, readonly number[]> {
  const widest = new Map<number, number>();
  const grouped = new Map<number, readonly number[]>();
  for (const { rows, columns, operation } of needed) {
    widest.set(rows, Math.max(columns, widest.get(rows) ?? 1));
    const { lengths } = operation;
    const other = grouped.get(rows);
    // All rows together suit two groupings of the same rows, which no family has.
    if (lengths) grouped.set(rows, other && other.join() !== lengths.join() ? [rows] : lengths);
  }
  return new Map(
    [...widest].map(([rows, columns]) => {
      const groups = grouped.get(rows) ?? Array.from({ length: rows }, () => 1);
      return [rows, balanced(groups, Math.max(1, Math.floor(cellElements / columns)))];
    }),
  );
}

/** Blocks of about equal size, of at most `limit` rows unless a group is longer. */
function balanced(groups: readonly number[], limit: number): number[] {
  const rows = groups.reduce((sum, length) => sum + length, 0);
  const most = Math.ceil(rows / Math.max(1, Math.ceil(rows / limit)));
  const cuts = [0];
  let end = 0;
  for (const length of groups) {
    const start = cuts.at(-1) ?? 0;
    if (end > start && end + length - start > most) cuts.push(end);
    end += length;
  }
  return [...cuts, rows];
}
