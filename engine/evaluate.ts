/** Measuring rows without noise: the loss of what is right, and whether the right label word is the likeliest. */
import { invariant } from "../schema/errors.ts";
import type { EncodedRow } from "../dataset/encode.ts";
import { encodeText } from "../dataset/encode.ts";
import type { Row } from "../dataset/jsonl.ts";
import type { Tokenizer } from "../dataset/tokenizer.ts";
import type { Model } from "./model/model.ts";

/** Tokens measured in one pass, to bound its memory. */
const passTokens = 2_048;

export interface RowScore {
  /** Mean over the scored tokens, nats. */
  readonly loss: number;
  readonly tokens: number;
}

export interface Evaluation {
  readonly rows: number;
  /** Mean over all scored tokens, nats. */
  readonly loss: number;
  /** Share of rows whose right label word has the least mean loss; null without label words. */
  readonly accuracy: number | null;
}

/** Scores every row, in order. */
export async function scoreRows(model: Model, rows: readonly EncodedRow[]): Promise<RowScore[]> {
  const scores: RowScore[] = [];
  for (const group of groupByTokens(rows)) {
    const losses = await model.losses(group);
    let at = 0;
    for (const { targets } of group) {
      const sum = losses.subarray(at, at + targets.length).reduce((total, loss) => total + loss, 0);
      scores.push({ loss: sum / targets.length, tokens: targets.length });
      at += targets.length;
    }
  }
  return scores;
}

function groupByTokens(rows: readonly EncodedRow[]): EncodedRow[][] {
  const groups: EncodedRow[][] = [];
  let tokens = Infinity;
  for (const row of rows) {
    if (tokens + row.ids.length > passTokens) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(row);
    tokens += row.ids.length;
  }
  return groups;
}

/** Rows prepared for `evaluate` once, as every evaluation of a run measures the same. */
export interface ValidationSet {
  readonly encoded: readonly EncodedRow[];
  /** For each row, its prompt with every label word, and which of them is right; null without label words. */
  readonly candidates: readonly { readonly rows: readonly EncodedRow[]; readonly right: number }[] | null;
}

export function prepareValidation(
  tokenizer: Tokenizer | null,
  rows: readonly { readonly row: Row; readonly encoded: EncodedRow }[],
  labelWords: readonly string[],
): ValidationSet {
  const encoded = rows.map((row) => row.encoded);
  if (labelWords.length === 0) return { encoded, candidates: null };
  const candidates = rows.map(({ row }) => {
    invariant(tokenizer && "prompt" in row, "rows with label words are text");
    const { prompt } = row;
    return {
      rows: labelWords.map((word) => encodeText(tokenizer, prompt, word)),
      right: labelWords.indexOf(row.completion),
    };
  });
  return { encoded, candidates };
}

export async function evaluate(model: Model, set: ValidationSet): Promise<Evaluation> {
  if (set.candidates) return evaluateCandidates(model, set.candidates);
  return { rows: set.encoded.length, loss: meanLoss(await scoreRows(model, set.encoded)), accuracy: null };
}

async function evaluateCandidates(
  model: Model,
  candidates: NonNullable<ValidationSet["candidates"]>,
): Promise<Evaluation> {
  const all = await scoreRows(
    model,
    candidates.flatMap((candidate) => candidate.rows),
  );
  let at = 0;
  let correct = 0;
  const right: RowScore[] = [];
  for (const candidate of candidates) {
    const scores = all.slice(at, at + candidate.rows.length);
    at += scores.length;
    const wanted = scores[candidate.right];
    invariant(wanted, "the right label word is among the candidates");
    right.push(wanted);
    if (scores.every((score, index) => index === candidate.right || wanted.loss < score.loss)) correct += 1;
  }
  return { rows: candidates.length, loss: meanLoss(right), accuracy: correct / candidates.length };
}

function meanLoss(scores: readonly RowScore[]): number {
  const tokens = scores.reduce((sum, score) => sum + score.tokens, 0);
  return scores.reduce((sum, score) => sum + score.loss * score.tokens, 0) / tokens;
}
