/** Low-rank terms from other operations, for devices that have none of their own. */
import type { Activation, LowRankPart, Pass } from "./device.ts";

/** y with `rows` added to its rows from `first` on. */
export type AddRows = (y: Activation, rows: Activation, first: number) => Activation;

export function composeLowRank(
  pass: Pass,
  addRows: AddRows,
  y: Activation,
  x: Activation,
  parts: readonly LowRankPart[],
): Activation {
  return parts.reduce((sum, { a, b, scale, first, rows }) => {
    const whole = rows === x.rows;
    const some = whole
      ? x
      : pass.gather(
          x,
          Int32Array.from({ length: rows }, (_, row) => first + row),
        );
    const term = pass.scale(pass.linear(pass.linear(some, a, null), b, null), scale);
    return whole ? pass.add(sum, term) : addRows(sum, term, first);
  }, y);
}
