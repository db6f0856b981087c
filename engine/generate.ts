/** Greedy continuation. Every token is a pass over the whole sequence: simple, and enough for samples. */
import { SteplogError } from "../schema/errors.ts";
import type { Model } from "./model/model.ts";

/**
 * Up to `maxTokens` tokens after `prompt`, the likeliest each time, ending with an end-of-sequence token of the config.
 * @throws INVALID_ARGUMENT when prompt and continuation do not fit the model's context
 */
export async function generate(model: Model, prompt: readonly number[], maxTokens: number): Promise<number[]> {
  const { contextLength, vocabulary, endOfSequence } = model.folder.architecture;
  if (prompt.length === 0) throw new SteplogError("INVALID_ARGUMENT", "The prompt has no tokens.");
  const strange = prompt.find((id) => id >= vocabulary);
  if (strange !== undefined) {
    throw new SteplogError("INVALID_ARGUMENT", `Token ${strange} is outside the vocabulary of ${vocabulary}.`);
  }
  if (prompt.length + maxTokens > contextLength) {
    const seen = `${prompt.length} tokens of prompt and ${maxTokens} to come`;
    throw new SteplogError("INVALID_ARGUMENT", `${seen} do not fit the model's context of ${contextLength}.`);
  }
  const tokens: number[] = [];
  while (tokens.length < maxTokens) {
    const next = likeliest(await model.nextLogits(Int32Array.from([...prompt, ...tokens])));
    tokens.push(next);
    if (endOfSequence.includes(next)) break;
  }
  return tokens;
}

function likeliest(logits: Float32Array): number {
  return logits.reduce((best, logit, index) => (logit > (logits[best] ?? -Infinity) ? index : best), 0);
}
