/** steplog generate --model FOLDER [--adapter FOLDER] --prompt TEXT | --input-ids 1,2,3 [--temperature 0.8 --seed 1] */
import type { Choose } from "../../engine/generation/generate.ts";
import { generate, likeliest } from "../../engine/generation/generate.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { ReadingOptions } from "../model.ts";
import { openForReading } from "../model.ts";
import { print, printJson } from "../output.ts";

export interface GenerateOptions extends ReadingOptions {
  prompt?: string;
  inputIds?: number[];
  maxTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  json?: true;
}

export async function generateCommand(options: GenerateOptions): Promise<void> {
  const { model, tokenizer } = await openForReading(options);
  if (options.prompt === undefined && options.inputIds === undefined) {
    throw new SteplogError("INVALID_ARGUMENT", "Give --prompt TEXT or --input-ids 1,2,3.");
  }
  if (options.prompt !== undefined && !tokenizer) {
    throw new SteplogError("MODEL_INVALID", `${options.model} has no tokenizer.json. Give --input-ids instead.`);
  }
  const prompt = options.inputIds ?? tokenizer?.encodeStart(options.prompt ?? "") ?? [];
  const tokens = await generate(model, prompt, options.maxTokens, chooserOf(options));
  const text = tokenizer ? tokenizer.decode(tokens) : null;
  if (options.json) printJson({ tokens, text });
  else print(text ?? tokens.join(","));
}

/** The likeliest token, unless something of the draw is said: then the model's own distribution is what it narrows. */
function chooserOf({ temperature, topK, topP, seed }: GenerateOptions): Choose {
  if ([temperature, topK, topP, seed].every((option) => option === undefined)) return likeliest;
  const narrowed = { ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) };
  return sampler({ temperature: temperature ?? 1, ...narrowed, seed: seed ?? 0 });
}
