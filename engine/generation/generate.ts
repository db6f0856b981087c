/** Generates text: one pass over the prompt, then one per token. */
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { Model } from "../model/model.ts";
import type { Choose } from "./sampling.ts";
import type { Written } from "./writer.ts";
import { Writer } from "./writer.ts";

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
  choose?: Choose,
): Promise<number[]> {
  const { endOfSequence } = model.folder;
  const writer = new Writer({ maxTokens, endOfSequence, ...(choose && { choose }) });
  await write(model, prompt, writer);
  return [...writer.tokens];
}

/** Continues `prompt` until the text ends; `hear` is told each token. @throws as `generate` does */
export async function write(
  model: Model,
  prompt: readonly number[],
  writer: Writer,
  hear: (written: Written) => void = () => {},
): Promise<void> {
  checkPrompt(model, prompt, writer.maxTokens);
  const continuation = model.continuation();
  try {
    let fresh = Int32Array.from(prompt);
    while (writer.finish === null) {
      const written = await writer.take(await continuation.next(fresh));
      hear(written);
      fresh = Int32Array.of(written.token);
    }
  } finally {
    continuation.end();
  }
}

function checkPrompt(model: Model, prompt: readonly number[], maxTokens: number): void {
  const { family, kind, vocabulary } = model.folder.architecture;
  const { contextLength } = model;
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
}
