/** A pass whose rows belong to different adapters: the base's products are common, and each run of rows gets its own terms. */
import type { Pass } from "../devices/device.ts";
import type { LowRankTerm } from "../model/adapters/adapter.ts";
import { changedPass } from "../model/adapters/adapter.ts";

/** Rows first, ..., first + rows - 1. */
export interface AdaptedRun {
  /** By the names of the weights of linear layers; null for rows of the base itself. */
  readonly terms: ReadonlyMap<string, LowRankTerm> | null;
  readonly first: number;
  readonly rows: number;
}

/** `runs` come in order. The pass has the same rows from its first operation to its last, as in decoding. */
export function adaptedRows(pass: Pass, runs: readonly AdaptedRun[]): Pass {
  const linear: Pass["linear"] = (x, weight, bias, layout) => {
    const y = pass.linear(x, weight, bias, layout);
    const parts = runs.flatMap(({ terms, first, rows }) => {
      const term = terms?.get(weight.name);
      return term ? [{ ...term, first, rows }] : [];
    });
    return parts.length > 0 ? pass.addLowRank(y, x, parts) : y;
  };
  return changedPass(pass, { linear });
}
