/**
 * Prompts that are too long for a model, cut at one end. What is scored is never cut, nor are the special tokens that the
 * tokenizer puts around a text. Which tokens stay depends on the row, the tokenizer, the candidates and the room alone, so a
 * run trains on the same tokens wherever it continues.
 */
import type { Truncation } from "../schema/hyperparameters.ts";
import type { ModelKind } from "../schema/model-kind.ts";

/** Which end of a prompt goes. */
export type CutSide = Exclude<Truncation, "REFUSE">;

/** Tokens, and the labels that transformers would have for them: -100 is not scored. */
export interface Labelled {
  /** [length] */
  readonly ids: readonly number[];
  /** [length] */
  readonly labels: readonly number[];
}

interface CutOptions {
  readonly side: CutSide;
  readonly kind: ModelKind;
  readonly isSpecial: (id: number) => boolean;
}

/** The row without `excess` tokens of its prompt; null if the prompt has too few. */
export function withoutTokens(row: Labelled, excess: number, options: CutOptions): Labelled | null {
  const { first, end } = removable(row, options);
  if (end - first < excess) return null;
  const from = options.side === "START" ? first : end - excess;
  const kept = (list: readonly number[]) => [...list.slice(0, from), ...list.slice(from + excess)];
  return { ids: kept(row.ids), labels: kept(row.labels) };
}

/** Tokens first, ..., end - 1 may go. */
function removable({ ids, labels }: Labelled, { side, kind, isSpecial }: CutOptions): { first: number; end: number } {
  const causal = kind === "causal";
  const isScored = (label: number, index: number) => label >= 0 && !(causal && index === 0);
  const special = (index: number) => isSpecial(ids[index] ?? -1);
  const scored = labels.findIndex(isScored);
  const start = scored < 0 ? ids.length : scored;
  if (!causal && side === "END") {
    const after = labels.findLastIndex(isScored) + 1;
    let end = ids.length;
    while (end > after && special(end - 1)) end -= 1;
    return { first: after, end };
  }
  let first = 0;
  while (first < start && special(first)) first += 1;
  if (!causal || first > 0) return { first, end: start };
  // A causal model predicts the first scored token from the one before it, which has to stay.
  return side === "START" ? { first, end: Math.max(0, start - 1) } : { first: Math.min(1, start), end: start };
}
