/**
 * In-context learning (Brown et al. 2020) as a baseline of what tuning brings: rows of the training set stand in front of
 * each prompt that is judged, and no weight changes.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { Row, TextRow } from "../../dataset/jsonl.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { epochOrder } from "../train/batches.ts";

/** Behind each demonstration. */
const separator = "\n\n";
/** An epoch that no run reaches: demonstrations are drawn as the rows of a batch are, but not in their order. */
const demonstrationEpoch = 2 ** 32 - 1;

export class Demonstrations {
  readonly #tokenizer: Tokenizer;
  readonly #texts: readonly string[];
  /** Tokens of each text by itself: about what it takes among others. */
  readonly #lengths: readonly number[];

  /** `count` rows of the training set, by the run seed. @throws INVALID_ARGUMENT for rows that are not text */
  constructor(tokenizer: Tokenizer, rows: readonly Row[], count: number, seed: number) {
    const chosen = epochOrder(rows.length, seed, demonstrationEpoch).subarray(0, count);
    this.#tokenizer = tokenizer;
    this.#texts = Array.from(chosen, (place) => {
      const { prompt, completion } = asText(rows[place]);
      return `${prompt}${completion}${separator}`;
    });
    this.#lengths = this.#texts.map((text) => tokenizer.encodeMore(text).length);
  }

  /** The row with demonstrations in front of its prompt, the last ones, as many as `room` tokens hold with the prompt. */
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
  const message = "in-context rows are of prompt and completion; these rows are conversations or tokens";
  throw new SteplogError("INVALID_ARGUMENT", `${message}. Leave inContextRows out.`, [
    { field: "hyperparameters.inContextRows", message },
  ]);
}
