/** The scores of labels, from the log-probabilities of their tokens: as candidates are scored in evaluations. */
import type { RowScore } from "../../../schema/completion.ts";
import type { Completion } from "../../../schema/serving-tables.ts";

export interface LabelScore {
  readonly label: string;
  readonly score: number;
  readonly tokens: number;
}

export interface Labelled {
  readonly scores: LabelScore[];
  /** The label with the highest score, the first of equal ones; null if none is a number. */
  readonly best: string | null;
}

/** Null for a completion that is not about labels, or has not succeeded. */
export function labelScores({ task, scores }: Pick<Completion, "task" | "scores">): Labelled | null {
  if (task.kind !== "SCORE" || !task.labels || !scores) return null;
  const { words, isCalibrated } = task.labels;
  const all = words.map((label, index) => {
    const own = scores[index] ?? [];
    const neutral = isCalibrated ? mean(scores[words.length + index] ?? []) : 0;
    return { label, score: mean(own) - neutral, tokens: own.length };
  });
  const best = all.reduce<LabelScore | null>(
    (found, next) => (Number.isNaN(next.score) || (found && found.score >= next.score) ? found : next),
    null,
  );
  return { scores: all, best: best?.label ?? null };
}

function mean(tokens: RowScore): number {
  return tokens.reduce((sum, { logprob }) => sum + logprob, 0) / tokens.length;
}
