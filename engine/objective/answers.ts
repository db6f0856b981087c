/**
 * Answers that a model writes by itself, judged against accepted ones by exact match and F1 (Rajpurkar et al. 2016, SQuAD): what
 * a user cares for, and has no gradient. Training continues every prompt of a batch under both sides of the noise.
 */
import type { Perturbation } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import { likeliest } from "../generation/generate.ts";
import type { Model } from "../model/model.ts";
import type { Task } from "./task.ts";

/** A prompt, and the answers that are right. */
export interface Question {
  readonly prompt: Int32Array;
  readonly answers: readonly string[];
}

export interface Answering {
  /** Most tokens of an answer; it ends before at a line's end or the model's end of sequence. */
  readonly maxTokens: number;
  readonly decode: (ids: readonly number[]) => string;
}

/** 1 - F1, or 1 - exact match, of the answers to a batch. */
export function answerTask(questions: readonly Question[], kind: "F1" | "EXACT_MATCH", answering: Answering): Task {
  const score = kind === "F1" ? f1 : exactMatch;
  return {
    count: questions.length,
    async measure(model, places, perturbation) {
      const asked = places.flatMap((place) => questions[place] ?? []);
      const sides = await answerBySide(model, asked, answering, perturbation);
      return sides.map((texts) =>
        Float64Array.from(asked, ({ answers }, i) => 1 - best(score, texts[i] ?? "", answers)),
      );
    },
  };
}

/** Mean F1 and exact match of the answers to all questions, 0 to 1, by the weights as they are. */
export async function judgeAnswers(model: Model, questions: readonly Question[], answering: Answering) {
  let [sumF1, sumExact] = [0, 0];
  for (const { prompt, answers } of questions) {
    const text = await answer(model, prompt, answering);
    sumF1 += best(f1, text, answers);
    sumExact += best(exactMatch, text, answers);
  }
  return { f1: sumF1 / questions.length, exactMatch: sumExact / questions.length };
}

/** Greedy, with keys and values kept. */
async function answer(model: Model, prompt: Int32Array, answering: Answering): Promise<string> {
  const growing = new GrowingAnswer(model, prompt, answering);
  const continuation = model.continuation();
  try {
    let fresh = prompt;
    while (!growing.ended) fresh = Int32Array.of(growing.take(await continuation.next(fresh)));
  } finally {
    continuation.end();
  }
  return growing.text;
}

/**
 * Greedy, on each side of the noise. Until they differ, the sides have one sequence in common; a pass computes all sides of
 * every sequence that has not ended, and each side reads its own. What each side says, question by question.
 */
async function answerBySide(
  model: Model,
  questions: readonly Question[],
  answering: Answering,
  perturbation: Perturbation | null,
): Promise<string[][]> {
  const sides = Array.from({ length: sidesOf(perturbation) }, () =>
    questions.map(({ prompt }) => new GrowingAnswer(model, prompt, answering)),
  );
  for (;;) {
    const open = sides.flatMap((answers, side) => answers.filter((one) => !one.ended).map((one) => ({ one, side })));
    const sequences = new Map(open.map(({ one }) => [one.key, one.ids]));
    if (sequences.size === 0) break;
    const keys = [...sequences.keys()];
    const logits = await model.sideLogits([...sequences.values()], perturbation);
    const wanted = open.map(({ one, side }) => ({ one, side, place: keys.indexOf(one.key) }));
    for (const { one, side, place } of wanted)
      one.take(rowOf(logits[side] ?? new Float32Array(), place, sequences.size));
  }
  return sides.map((answers) => answers.map(({ text }) => text));
}

function rowOf(logits: Float32Array, row: number, rows: number): Float32Array {
  const columns = logits.length / rows;
  return logits.subarray(row * columns, (row + 1) * columns);
}

/** An answer that grows by the likeliest token. */
class GrowingAnswer {
  readonly #prompt: Int32Array;
  readonly #answering: Answering;
  readonly #endOfSequence: readonly number[];
  readonly #room: number;
  readonly #tokens: number[] = [];
  #text = "";
  #ended: boolean;

  constructor(model: Model, prompt: Int32Array, answering: Answering) {
    const { endOfSequence } = model.folder.architecture;
    this.#prompt = prompt;
    this.#answering = answering;
    this.#endOfSequence = endOfSequence;
    this.#room = Math.min(answering.maxTokens, model.contextLength - prompt.length);
    this.#ended = this.#room <= 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get ids(): Int32Array {
    return Int32Array.of(...this.#prompt, ...this.#tokens);
  }

  get key(): string {
    return this.ids.join();
  }

  /** Up to the first line's end. */
  get text(): string {
    return this.#text.split("\n", 1)[0] ?? "";
  }

  /** The token that it grew by. */
  take(logits: Float32Array): number {
    const next = likeliest(logits);
    if (this.#endOfSequence.includes(next)) {
      this.#ended = true;
      return next;
    }
    this.#tokens.push(next);
    this.#text = this.#answering.decode(this.#tokens);
    this.#ended = this.#text.includes("\n") || this.#tokens.length >= this.#room;
    return next;
  }
}

function best(score: (said: string, right: string) => number, said: string, answers: readonly string[]): number {
  return Math.max(0, ...answers.map((right) => score(said, right)));
}

/** 1 when both are the same but for case, punctuation, articles and white space. */
export function exactMatch(said: string, right: string): number {
  return wordsOf(said).join(" ") === wordsOf(right).join(" ") ? 1 : 0;
}

/** Harmonic mean of precision and recall of the words, counted as often as they occur. */
export function f1(said: string, right: string): number {
  const [mine, theirs] = [wordsOf(said), wordsOf(right)];
  if (mine.length === 0 || theirs.length === 0) return mine.length === theirs.length ? 1 : 0;
  const left = [...theirs];
  const shared = mine.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return (2 * shared) / (mine.length + theirs.length);
}

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().replaceAll(/[\p{P}\p{S}]/gu, "");
  return words.split(/\s+/u).filter((word) => word !== "" && !["a", "an", "the"].includes(word));
}
