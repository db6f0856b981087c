/** steplog generate --model FOLDER [--adapter FOLDER] --prompt TEXT | --input-ids 1,2,3 */
import { generate } from "../../engine/generate.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { ReadingOptions } from "../model.ts";
import { openForReading } from "../model.ts";
import { print, printJson } from "../output.ts";

export interface GenerateOptions extends ReadingOptions {
  prompt?: string;
  inputIds?: number[];
  maxTokens: number;
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
  const tokens = await generate(model, prompt, options.maxTokens);
  const text = tokenizer ? tokenizer.decode(tokens) : null;
  if (options.json) printJson({ tokens, text });
  else print(text ?? tokens.join(","));
}
