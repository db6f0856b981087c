/** steplog generate --model FOLDER [--adapter FOLDER] --prompt TEXT | --input-ids 1,2,3 [--temperature 0.8 --seed 1] */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { Choose } from "../../engine/generation/generate.ts";
import { generate, likeliest } from "../../engine/generation/generate.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { inSandbox } from "../../sandbox/sandbox.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { ReadingOptions } from "../model.ts";
import { encodePromptOf, openForReading, textOf } from "../model.ts";
import { adapterOption, deviceOption, integer, number } from "../options.ts";
import { print, printJson } from "../output.ts";

interface GenerateOptions extends ReadingOptions {
  prompt?: string;
  inputIds?: number[];
  maxTokens: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  json?: true;
}

export function define(command: Command): void {
  const temperature = number((value) => Number.isFinite(value) && value >= 0, "Give a number from 0.");
  const probability = number((value) => value > 0 && value <= 1, "Give a probability above 0 and up to 1.");
  command
    .description(
      "Continue a prompt with the most likely tokens, or sample if --temperature, --top-k, --top-p or --seed is given.",
    )
    .requiredOption("--model <folder>", "a model in Hugging Face layout")
    .addOption(adapterOption())
    .addOption(new Option("--prompt <text>", "text to continue").conflicts("inputIds"))
    .option("--input-ids <ids>", "tokens to continue, such as 1,2,3", tokenList)
    .option("--max-tokens <number>", "most tokens to generate", integer(1, 1_000_000), 20)
    .option("--temperature <number>", "sample from logits divided by this; 0 takes the most likely token", temperature)
    .option("--top-k <number>", "sample from this many most likely tokens", integer(1, 1_000_000_000))
    .option("--top-p <share>", "sample from the most likely tokens whose probabilities sum to this", probability)
    .option("--seed <number>", "seed of the samples; the default is 0", integer(0, Number.MAX_SAFE_INTEGER))
    .option("--json", "print {tokens, text}")
    .addOption(deviceOption())
    .addHelpText(
      "after",
      '\nExamples:\n  steplog generate --model tuned --prompt "Once upon" --max-tokens 20 --json\n' +
        '  steplog generate --model tuned --prompt "Once upon" --temperature 0.8 --top-p 0.95 --seed 1',
    )
    .action(generateCommand);
}

function tokenList(text: string): number[] {
  const ids = text.split(",").map((part) => (/^\s*\d+\s*$/u.test(part) ? Number(part) : NaN));
  if (ids.every(Number.isSafeInteger)) return ids;
  throw new InvalidArgumentError("Give token ids as whole numbers separated by commas, such as 1,2,3.");
}

async function generateCommand(options: GenerateOptions): Promise<void> {
  if (options.prompt === undefined && options.inputIds === undefined) {
    throw new SteplogError("INVALID_ARGUMENT", "Give --prompt TEXT or --input-ids 1,2,3.");
  }
  const { tokens, text } = await inSandbox(async (sandbox) => {
    const model = await openForReading(sandbox, options);
    const prompt = options.inputIds ?? (await encodePromptOf(sandbox, model, options.prompt ?? ""));
    if (!prompt) {
      throw new SteplogError("MODEL_INVALID", `${options.model} has no tokenizer.json. Give --input-ids instead.`);
    }
    const written = await generate(model, prompt, options.maxTokens, chooserOf(options));
    return { tokens: written, text: await textOf(sandbox, model, written) };
  });
  if (options.json) printJson({ tokens, text });
  else print(text ?? tokens.join(","));
}

/** Greedy without any sampling option; with one, the others default to the model's own distribution. */
function chooserOf({ temperature, topK, topP, seed }: GenerateOptions): Choose {
  if ([temperature, topK, topP, seed].every((option) => option === undefined)) return likeliest;
  const narrowed = { ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) };
  return sampler({ temperature: temperature ?? 1, ...narrowed, seed: seed ?? 0 });
}
