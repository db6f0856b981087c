/**
 * In-context learning (Brown et al. 2020), a baseline for fine-tuning: examples from the training set precede each prompt
 * that is evaluated, and no weight changes.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { Row, TextRow } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { epochOrder } from "../train/batches.ts";

/** Follows each example. */
const separator = "\n\n";
/** Examples are drawn as the rows of an epoch are, from an epoch that no run reaches. */
const exampleEpoch = 2 ** 32 - 1;

export class InContextExamples {
  readonly #tokenizer: Tokenizer;
  readonly #texts: readonly string[];
  /** Tokens of each text by itself: about as many as it takes when others surround it. */
  readonly #lengths: readonly number[];

  /** Draws `count` rows of the training set; the seed decides which. @throws INVALID_ARGUMENT if rows are not text */
  constructor(tokenizer: Tokenizer, rows: readonly Row[], count: number, seed: number) {
    const indices = epochOrder(rows.length, seed, exampleEpoch).subarray(0, count);
    this.#tokenizer = tokenizer;
    this.#texts = Array.from(indices, (index) => {
      const { prompt, completion } = asText(rows[index]);
      return `${prompt}${completion}${separator}`;
    });
    this.#lengths = this.#texts.map((text) => tokenizer.encodeMore(text).length);
  }

  /** The row with as many examples before its prompt as fit into `room` tokens with it; the first ones are left out first. */
  before(row: Row, room: number): TextRow {
    const text = asText(row);
    const tokens = (prompt: string) => this.#tokenizer.encodeStart(prompt).length;
    let left = room - tokens(text.prompt);
    let first = this.#texts.length;
    while (first > 0 && left >= (this.#lengths[first - 1] ?? 0)) {
      first -= 1;
      left -= this.#lengths[first] ?? 0;
    }
    for (; first < this.#texts.length; first++) {
      const prompt = `${this.#texts.slice(first).join("")}${text.prompt}`;
      if (tokens(prompt) <= room) return { ...text, prompt };
    }
    return text;
  }
}

function asText(row: Row | undefined): TextRow {
  if (row && "prompt" in row) return row;
  const message = "in-context examples need rows of prompt and completion; these rows are conversations or tokens";
  throw new SteplogError("INVALID_ARGUMENT", `${message}. Leave inContextRows out.`, [
    { field: "hyperparameters.inContextRows", message },
  ]);
}
