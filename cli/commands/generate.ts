/** steplog generate --model FOLDER [--adapter FOLDER] --prompt TEXT | --input-ids 1,2,3 [--temperature 0.8 --seed 1] */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { write } from "../../engine/generation/generate.ts";
import type { TokenLogProbabilities } from "../../engine/generation/logprobs.ts";
import type { Sampling } from "../../engine/generation/sampling.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import type { Decoding } from "../../engine/generation/text-stream.ts";
import { findHalfCharacter } from "../../engine/generation/text-stream.ts";
import { Writer } from "../../engine/generation/writer.ts";
import type { Model } from "../../engine/model/model.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
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
  minP?: number;
  repetitionPenalty?: number;
  seed?: number;
  stop?: string[];
  n?: number;
  logprobs?: number;
  json?: true;
}

export function define(command: Command): void {
  const temperature = number((value) => Number.isFinite(value) && value >= 0, "Give a number from 0.");
  const penalty = number((value) => Number.isFinite(value) && value > 0, "Give a number above 0.");
  const probability = number((value) => value > 0 && value <= 1, "Give a probability above 0 and up to 1.");
  const share = number((value) => value >= 0 && value <= 1, "Give a number from 0 to 1.");
  command
    .description(
      "Continue a prompt with the most likely tokens, or sample if --temperature, --top-k, --top-p, --min-p, --seed or --n is given.",
    )
    .requiredOption("--model <folder>", "a model in Hugging Face layout")
    .addOption(adapterOption())
    .addOption(new Option("--prompt <text>", "text to continue").conflicts("inputIds"))
    .option("--input-ids <ids>", "tokens to continue, such as 1,2,3", tokenList)
    .option("--max-tokens <number>", "most tokens to generate", integer(1, 1_000_000), 20)
    .option("--temperature <number>", "sample from logits divided by this; 0 takes the most likely token", temperature)
    .option("--top-k <number>", "sample from this many most likely tokens", integer(1, 1_000_000_000))
    .option("--top-p <share>", "sample from the most likely tokens whose probabilities sum to this", probability)
    .option("--min-p <share>", "leave out tokens less likely than this share of the most likely one", share)
    .option(
      "--repetition-penalty <number>",
      "divide the logits of tokens that were there before by this; 1 changes nothing",
      penalty,
    )
    .option("--seed <number>", "seed of the samples; the default is 0", integer(0, Number.MAX_SAFE_INTEGER))
    .option("--stop <text...>", "end before one of these texts")
    .option("--n <number>", "so many texts after the same prompt", integer(1, 1_000))
    .option("--logprobs <number>", "with --json: log-probabilities, of so many likely tokens too", integer(0, 100))
    .option("--json", "print {tokens, text, finishReason}, or with --n a list of these")
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
  if (options.logprobs !== undefined && !options.json) {
    throw new SteplogError("INVALID_ARGUMENT", "--logprobs are printed as JSON. Add --json.");
  }
  if (options.stop?.includes("")) throw new SteplogError("INVALID_ARGUMENT", "A text of --stop is empty.");
  await inSandbox(async (sandbox) => {
    const model = await openForReading(sandbox, options);
    const prompt = options.inputIds ?? (await encodePromptOf(sandbox, model, options.prompt ?? ""));
    if (!prompt) throw needsTokenizer(model, "Give --input-ids instead.");
    const decoding = await decodingOf(sandbox, model);
    if (options.stop && !decoding) throw needsTokenizer(model, "Leave --stop out.");
    const texts: Text[] = [];
    for (let choice = 0; choice < (options.n ?? 1); choice++) {
      if (choice > 0 && !options.json) print("---");
      texts.push(await writeText(model, prompt, decoding, options, choice));
    }
    if (options.json) printJson(options.n === undefined ? texts[0] : texts);
  });
}

function needsTokenizer({ folder: { path } }: Model, advice: string): SteplogError {
  return new SteplogError("MODEL_INVALID", `${path} has no tokenizer.json. ${advice}`);
}

/** Null without a tokenizer. */
async function decodingOf(sandbox: Sandbox, model: Model): Promise<Decoding | null> {
  const decode = async (tokens: readonly number[]) => (await textOf(sandbox, model, tokens)) ?? "";
  const encode = async (text: string) => (await encodePromptOf(sandbox, model, text)) ?? [];
  if ((await textOf(sandbox, model, [])) === null) return null;
  return { decode, halfCharacter: await findHalfCharacter(encode, decode) };
}

interface Text {
  readonly tokens: readonly number[];
  /** Null without a tokenizer. */
  readonly text: string | null;
  readonly finishReason: string | null;
  readonly logprobs?: readonly TokenLogProbabilities[];
}

/** Prints the text as it grows, unless it is to be printed as JSON. */
async function writeText(
  model: Model,
  prompt: readonly number[],
  decoding: Decoding | null,
  options: GenerateOptions,
  choice: number,
): Promise<Text> {
  const { maxTokens, stop, logprobs, json } = options;
  const writer = new Writer({
    maxTokens,
    endOfSequence: model.folder.endOfSequence,
    choose: sampler(samplingOf(options), { prompt, choice }),
    decoding,
    ...(stop && { stop }),
    ...(logprobs !== undefined && { logProbabilities: logprobs }),
  });
  let text = "";
  const likely: TokenLogProbabilities[] = [];
  await write(model, prompt, writer, (written) => {
    text += written.text;
    if (written.logProbabilities) likely.push(written.logProbabilities);
    if (!json) process.stdout.write(written.text);
  });
  const { tokens } = writer;
  if (!json) print(decoding ? "" : tokens.join(","));
  return {
    tokens,
    text: decoding ? text : null,
    finishReason: writer.finish,
    ...(logprobs !== undefined && { logprobs: likely }),
  };
}

/** Greedy without an option that asks for samples; with one, the others default to the model's own distribution. */
function samplingOf({ temperature, topK, topP, minP, repetitionPenalty, seed, n }: GenerateOptions): Sampling {
  const sampled = [temperature, topK, topP, minP, seed, n].some((option) => option !== undefined);
  return {
    temperature: temperature ?? (sampled ? 1 : 0),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(minP !== undefined && { minP }),
    ...(repetitionPenalty !== undefined && { repetitionPenalty }),
    seed: seed ?? 0,
  };
}
