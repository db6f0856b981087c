/** Generates text: one pass over the prompt, then one per token. */
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { Model } from "../model/model.ts";

/** Picks the next token by its logits, [vocab]. `sampler` (sampling.ts) makes one that samples. */
export type Choose = (logits: Float32Array) => number;

/**
 * Up to `maxTokens` tokens after `prompt`, by default the likeliest each time. Stops after an end-of-sequence token of the
 * model.
 * @throws INVALID_ARGUMENT if prompt and continuation do not fit the model's context; MODEL_UNSUPPORTED for a masked language
 *   model
 */
export async function generate(
  model: Model,
  prompt: readonly number[],
  maxTokens: number,
  choose: Choose = likeliest,
): Promise<number[]> {
  const { family, kind, vocabulary } = model.folder.architecture;
  const { contextLength } = model;
  const { endOfSequence } = model.folder;
  if (kind !== "causal") {
    throw new SteplogError("MODEL_UNSUPPORTED", `${family} is a masked language model, which cannot continue text.`);
  }
  if (prompt.length === 0) throw new SteplogError("INVALID_ARGUMENT", "The prompt has no tokens.");
  const strange = prompt.find((id) => id >= vocabulary);
  if (strange !== undefined) {
    throw new SteplogError("INVALID_ARGUMENT", `Token ${strange} is outside the vocabulary of ${vocabulary}.`);
  }
  if (prompt.length + maxTokens > contextLength) {
    const seen = `A prompt of ${counted(prompt.length, "token")} and ${maxTokens} new ones`;
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${seen} do not fit the model's context of ${counted(contextLength, "token")}.`,
    );
  }
  const tokens: number[] = [];
  const continuation = model.continuation();
  try {
    let fresh = Int32Array.from(prompt);
    while (tokens.length < maxTokens) {
      const next = choose(await continuation.next(fresh));
      tokens.push(next);
      if (endOfSequence.includes(next)) break;
      fresh = Int32Array.of(next);
    }
  } finally {
    continuation.end();
  }
  return tokens;
}

/** The token with the highest logit; the first of several. */
export function likeliest(logits: Float32Array): number {
  return logits.reduce((best, logit, index) => (logit > (logits[best] ?? -Infinity) ? index : best), 0);
}
