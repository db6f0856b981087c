/**
 * Answers that the model generates, scored against accepted ones by exact match and F1 (SQuAD, Rajpurkar et al. 2016).
 * These scores have no gradient. In training, every prompt of a batch is continued at the weights of both sides of the
 * perturbation.
 */
import { SteplogError } from "../../schema/errors.ts";
import { encodeStartOf, promptCut } from "../../dataset/encode.ts";
import type { Row } from "../../dataset/jsonl.ts";
import type { Perturbation } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import { likeliest } from "../generation/top-tokens.ts";
import type { ForwardModel } from "../model/model.ts";
import type { ChoiceSettings } from "./choices.ts";
import type { Objective } from "./objective.ts";
import { pick } from "./objective.ts";

/** A prompt and its accepted answers. */
export interface Question {
  readonly prompt: Int32Array;
  readonly answers: readonly string[];
}

export interface AnswerSettings {
  /** Maximum length in tokens; an answer also ends at a line break or the model's end of sequence. */
  readonly maxTokens: number;
  readonly decode: (ids: readonly number[]) => string;
  /** Called for each token that the model writes. */
  readonly wrote?: (() => void) | undefined;
}

/** @throws INVALID_ARGUMENT if the row is not text */
export function questionOf(row: Row, { tokenizer, bounds, labelWords }: ChoiceSettings): Question {
  if ("completion" in row && tokenizer) {
    const cut = bounds ? promptCut(tokenizer, row, bounds, labelWords) : null;
    const prompt = encodeStartOf(tokenizer, row.prompt, cut);
    return { prompt, answers: row.answers ?? [row.completion] };
  }
  const message = "answers need rows of prompt and completion; these rows are conversations or tokens";
  throw new SteplogError("INVALID_ARGUMENT", `${message}. Leave answerTokens out.`, [
    { field: "hyperparameters.answerTokens", message },
  ]);
}

/** Minimises 1 - F1, or 1 - exact match, of the answers to a batch. An answer from logits that are not finite has no value. */
export function answerObjective(
  questions: readonly Question[],
  kind: "F1" | "EXACT_MATCH",
  settings: AnswerSettings,
): Objective {
  const score = kind === "F1" ? f1 : exactMatch;
  return {
    count: questions.length,
    async measure(model, indices, perturbation) {
      const asked = pick(questions, indices);
      const sides = await answersBySide(model, asked, settings, perturbation);
      return sides.map((texts) =>
        Float64Array.from(asked, ({ answers }, i) => 1 - best(score, texts[i] ?? null, answers)),
      );
    },
  };
}

export interface ScoredAnswer {
  readonly text: string;
  readonly f1: number;
  readonly exactMatch: number;
}

/** The answers to all questions, in order, and how good they are, from 0 to 1, at the stored weights. */
export async function scoreAnswers(
  model: ForwardModel,
  questions: readonly Question[],
  settings: AnswerSettings,
): Promise<ScoredAnswer[]> {
  const scored: ScoredAnswer[] = [];
  for (const { prompt, answers } of questions) {
    const { text } = await generateAnswer(model, prompt, settings);
    scored.push({ text, f1: best(f1, text, answers), exactMatch: best(exactMatch, text, answers) });
  }
  return scored;
}

/** Greedy decoding with a cache of keys and values. */
async function generateAnswer(
  model: ForwardModel,
  prompt: Int32Array,
  settings: AnswerSettings,
): Promise<GrowingAnswer> {
  const answer = new GrowingAnswer(model, prompt, settings);
  const continuation = model.continuation();
  try {
    let fresh = prompt;
    while (!answer.ended) fresh = Int32Array.of(answer.take(await continuation.next(fresh)));
  } finally {
    continuation.end();
  }
  return answer;
}

/**
 * Greedy decoding on each side of the perturbation: the answers of each side, in the order of the questions. Every pass
 * computes all sides of each distinct sequence that is still growing, and each side reads its own logits; while the sides
 * agree, they share one sequence. Null for an answer whose logits were not finite.
 */
async function answersBySide(
  model: ForwardModel,
  questions: readonly Question[],
  settings: AnswerSettings,
  perturbation: Perturbation | null,
): Promise<(string | null)[][]> {
  const sides = Array.from({ length: sidesOf(perturbation) }, () =>
    questions.map(({ prompt }) => new GrowingAnswer(model, prompt, settings)),
  );
  for (;;) {
    const open = sides.flatMap((answers, side) =>
      answers.filter((answer) => !answer.ended).map((answer) => ({ answer, side })),
    );
    const sequences = new Map(open.map(({ answer }) => [answer.key, answer.ids]));
    if (sequences.size === 0) break;
    const keys = [...sequences.keys()];
    const logits = await model.sideLogits([...sequences.values()], perturbation);
    // Rows are looked up before any answer grows, since growing changes its key.
    const rows = open.map(({ answer, side }) => ({ answer, side, row: keys.indexOf(answer.key) }));
    for (const { answer, side, row } of rows)
      answer.take(rowOf(logits[side] ?? new Float32Array(), row, sequences.size));
  }
  return sides.map((answers) => answers.map(({ text, diverged }) => (diverged ? null : text)));
}

function rowOf(logits: Float32Array, row: number, rows: number): Float32Array {
  const columns = logits.length / rows;
  return logits.subarray(row * columns, (row + 1) * columns);
}

/** An answer that grows by the most likely token. */
class GrowingAnswer {
  readonly #prompt: Int32Array;
  readonly #settings: AnswerSettings;
  readonly #endOfSequence: readonly number[];
  readonly #maxTokens: number;
  readonly #tokens: number[] = [];
  #text = "";
  #ended: boolean;
  #diverged = false;

  constructor(model: ForwardModel, prompt: Int32Array, settings: AnswerSettings) {
    const { endOfSequence } = model.folder;
    this.#prompt = prompt;
    this.#settings = settings;
    this.#endOfSequence = endOfSequence;
    this.#maxTokens = Math.min(settings.maxTokens, model.contextLength - prompt.length);
    this.#ended = this.#maxTokens <= 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether some token was the likeliest of logits that are not finite. */
  get diverged(): boolean {
    return this.#diverged;
  }

  get ids(): Int32Array {
    return Int32Array.from([...this.#prompt, ...this.#tokens]);
  }

  get key(): string {
    return this.ids.join();
  }

  /** Up to the first line break. */
  get text(): string {
    return this.#text.split("\n", 1)[0] ?? "";
  }

  /** Appends the most likely token, and returns it. */
  take(logits: Float32Array): number {
    const next = likeliest(logits);
    this.#diverged ||= !Number.isFinite(logits[next]);
    if (this.#endOfSequence.includes(next)) {
      this.#ended = true;
      return next;
    }
    this.#tokens.push(next);
    this.#settings.wrote?.();
    this.#text = this.#settings.decode(this.#tokens);
    this.#ended = this.#text.includes("\n") || this.#tokens.length >= this.#maxTokens;
    return next;
  }
}

function best(
  score: (answer: string, accepted: string) => number,
  answer: string | null,
  accepted: readonly string[],
): number {
  if (answer === null) return NaN;
  return accepted.reduce((most, one) => Math.max(most, score(answer, one)), 0);
}

/** 1 if both are the same apart from case, punctuation, articles and white space, else 0. */
export function exactMatch(answer: string, accepted: string): number {
  return wordsOf(answer).join(" ") === wordsOf(accepted).join(" ") ? 1 : 0;
}

/** Harmonic mean of the precision and recall of the words, each counted as often as it occurs. */
export function f1(answer: string, accepted: string): number {
  const [words, wanted] = [wordsOf(answer), wordsOf(accepted)];
  if (words.length === 0 || wanted.length === 0) return words.length === wanted.length ? 1 : 0;
  const left = [...wanted];
  const shared = words.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return (2 * shared) / (words.length + wanted.length);
}

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().replaceAll(/[\p{P}\p{S}]/gu, "");
  return words.split(/\s+/u).filter((word) => word !== "" && !["a", "an", "the"].includes(word));
}
