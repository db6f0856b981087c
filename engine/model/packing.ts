/** Rows and sequences packed for one pass: one after the other, without padding. */
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Architecture, PackedTokens } from "./families/family.ts";

/** Sequences one after the other, and the row of the packed tokens at which each starts. */
export function packSequences(sequences: readonly Int32Array[]): PackedTokens & { readonly starts: readonly number[] } {
  let end = 0;
  return {
    ids: Int32Array.from(sequences.flatMap((ids) => [...ids])),
    lengths: sequences.map((ids) => ids.length),
    starts: sequences.map((ids) => (end += ids.length) - ids.length),
  };
}

/** The rows, with their scored positions as rows of the packed tokens, and the target of each. */
export function packRows(architecture: Architecture, rows: readonly EncodedRow[]) {
  const packed = packSequences(rows.map(({ ids, positions }) => visibleTokens(architecture, ids, positions)));
  return {
    ...packed,
    positions: Int32Array.from(
      rows.flatMap((row, i) => Array.from(row.positions, (at) => at + (packed.starts[i] ?? 0))),
    ),
    targets: Int32Array.from(rows.flatMap((row) => [...row.targets])),
  };
}

/** The tokens that outputs at `positions` depend on: no later ones in a causal model, and never padding at the end. */
export function visibleTokens({ kind, padding }: Architecture, ids: Int32Array, positions: Int32Array): Int32Array {
  const wanted = positions.reduce((last, at) => Math.max(last, at), 0) + 1;
  if (kind === "causal") return ids.subarray(0, wanted);
  return ids.subarray(0, Math.max(wanted, ids.findLastIndex((id) => id !== padding) + 1));
}
