/** A pass whose rows belong to different adapters: the base's products are common, and each run of rows gets its own terms. */
import { invariant } from "../../schema/errors.ts";
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

/**
 * Whether rows of both have the same operations in one pass as in passes of their own. By "panels", as prompts are computed, they
 * need that to have the same bits: a term keeps a product from being joined with what follows it.
 */
export function haveTermsAlike(a: AdaptedRun["terms"], b: AdaptedRun["terms"]): boolean {
  if (a === null || b === null) return a === b;
  return a.size === b.size && [...a.keys()].every((layer) => b.has(layer));
}

/** `runs` are in row order. A family may gather some rows, in order, and compute only those from then on; each keeps its adapter. */
export function adaptedRows(pass: Pass, runs: readonly AdaptedRun[]): Pass {
  let gathered: { readonly rows: number; readonly runs: readonly AdaptedRun[] } | null = null;
  const linear: Pass["linear"] = (x, weight, bias, layout) => {
    const y = pass.linear(x, weight, bias, layout);
    const parts = (gathered?.rows === x.rows ? gathered.runs : runs).flatMap(({ terms, first, rows }) => {
      const term = terms?.get(weight.name);
      return term ? [{ ...term, first, rows }] : [];
    });
    return parts.length > 0 ? pass.addLowRank(y, x, parts) : y;
  };
  const gather: Pass["gather"] = (x, index) => {
    gathered = { rows: index.length, runs: gatheredRuns(runs, index) };
    return pass.gather(x, index);
  };
  return changedPass(pass, { linear, gather });
}

function gatheredRuns(runs: readonly AdaptedRun[], index: Int32Array): AdaptedRun[] {
  invariant(
    index.every((row, at) => at === 0 || row > (index[at - 1] ?? 0)),
    "rows are gathered in order",
  );
  return runs.flatMap(({ terms, first, rows }) => {
    const own = index.filter((row) => row >= first && row < first + rows).length;
    return own === 0 ? [] : [{ terms, first: index.filter((row) => row < first).length, rows: own }];
  });
}
