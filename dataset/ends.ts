/** Whether conversations teach a model to stop. */
import type { EncodedRow } from "./encode.ts";

const neverEnds =
  "No turn of the assistant has a scored end: the model's chat template writes no special token after one. So the model will not learn " +
  "to stop. Use a template that ends turns with a special token.";

export class EndsOfTurns {
  #conversations = 0;
  #ended = 0;

  add({ endedTurns }: EncodedRow): void {
    if (endedTurns === undefined) return;
    this.#conversations += 1;
    this.#ended += endedTurns;
  }

  /** Null where some turn has a scored end, or where there are no conversations. */
  get note(): string | null {
    return this.#conversations > 0 && this.#ended === 0 ? neverEnds : null;
  }
}
