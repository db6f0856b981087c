/** steplog complete --model NAME --prompt TEXT: asks a model of a running service, and prints what it writes. */
import type { Command } from "commander";
import { Option } from "commander";
import type { Completion, CreateCompletionInput } from "../../client/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { exitCodes } from "../exit-codes.ts";
import { integer, number, urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService, type Remote } from "../remote.ts";
import { modelOf } from "../short-ids.ts";

interface CompleteOptions {
  readonly url: string;
  readonly model: string;
  readonly prompt?: string;
  readonly message?: string;
  readonly system?: string;
  readonly labels?: string[];
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly n?: number;
  readonly logprobs?: number;
  readonly json?: true;
}

export function define(command: Command): void {
  const finite = number((value) => Number.isFinite(value), "Give a number.");
  command
    .description("Ask a model of a running service to continue a text, to answer a message, or to choose a label.")
    .requiredOption("--model <name>", "an alias, a base model's name, or the id of a checkpoint or of a fine-tune")
    .addOption(new Option("--prompt <text>", "text to continue").conflicts(["message", "system"]))
    .option("--message <text>", "a message to answer, by the model's chat template")
    .option("--system <text>", "with --message: the system's message before it")
    .option("--labels <text...>", "choose one of these texts instead of writing")
    .option("--max-tokens <number>", "most tokens to write", integer(1, 1_000_000))
    .option("--temperature <number>", "divide logits by this, 0 to 2; 0 takes the likeliest token", finite)
    .option("--top-k <number>", "sample from this many of the likeliest tokens", integer(1, limits.vocabulary))
    .option("--top-p <share>", "sample from the likeliest tokens whose probabilities sum to this", finite)
    .option("--min-p <share>", "leave out tokens less likely than this share of the likeliest one", finite)
    .option("--repetition-penalty <number>", "divide logits of tokens that were there before by this", finite)
    .option("--seed <number>", "seed of the samples; drawn if left out", integer(0, Number.MAX_SAFE_INTEGER))
    .option("--stop <text...>", "end before one of these texts")
    .option("--n <number>", "so many texts", integer(1, limits.choices))
    .option(
      "--logprobs <number>",
      "with --json: log-probabilities, of so many likely tokens too",
      integer(0, limits.topLogprobs),
    )
    .addOption(urlOption())
    .option("--json", "print the completion as one JSON object")
    .addHelpText(
      "after",
      '\nExamples:\n  steplog complete --model demo --prompt "The soup was stale. It was" --max-tokens 5\n' +
        '  steplog complete --model demo --prompt "The soup was stale. It was" --labels " great" " terrible"',
    )
    .action(complete);
}

async function complete({ url, ...options }: CompleteOptions): Promise<void> {
  const input = inputOf(options);
  await withService(url, async ({ client }) => {
    const interrupted = new AbortController();
    const interrupt = () => interrupted.abort();
    process.once("SIGINT", interrupt);
    const model = { name: await modelOf(client, options.model) };
    const { id } = await client.createCompletion({ ...input, model });
    try {
      const whole = await follow(client, id, options, interrupted.signal);
      report(whole, options);
    } catch (error) {
      if (!interrupted.signal.aborted) throw error;
      process.exitCode = exitCodes.interrupted;
    } finally {
      process.off("SIGINT", interrupt);
      // Nobody else knows its id. One that goes on ends.
      await client.deleteCompletion(id);
    }
  });
}

/** @throws INVALID_ARGUMENT */
function inputOf({ json, model, message, system, ...options }: Omit<CompleteOptions, "url">): CreateCompletionInput {
  if ((options.prompt === undefined) === (message === undefined))
    throw new SteplogError("INVALID_ARGUMENT", "Give --prompt TEXT or --message TEXT.");
  if (options.logprobs !== undefined && !json)
    throw new SteplogError("INVALID_ARGUMENT", "--logprobs are printed as JSON. Add --json.");
  const said = message === undefined ? [] : [{ role: "user" as const, content: message }];
  const before = system === undefined ? [] : [{ role: "system" as const, content: system }];
  return { ...options, model: { name: model }, ...(message !== undefined && { messages: [...before, ...said] }) };
}

/** Prints a single text as it grows. @throws the completion's own error */
async function follow(
  client: Remote["client"],
  id: string,
  { n = 1, json }: Pick<CompleteOptions, "n" | "json">,
  signal: AbortSignal,
): Promise<Completion> {
  for await (const { piece } of client.completionPieces(id, { signal })) {
    if (n === 1 && !json) process.stdout.write(piece.text);
  }
  return client.completion(id);
}

function report(completion: Completion, { n = 1, json }: Pick<CompleteOptions, "n" | "json">): void {
  if (json) return printJson(completion);
  if (completion.labelScores) return print(completion.label ?? "none: no score is a number");
  if (n === 1) return print("");
  print(completion.choices.map(({ text }) => text).join("\n---\n"));
}
