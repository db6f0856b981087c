/** steplog complete --model NAME --prompt TEXT: asks a model of a running service, and prints what it writes. */
import type { Command } from "commander";
import { Option } from "commander";
import type { Completion, CreateCompletionInput } from "../../client/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { servedModelOption } from "../completion/names.ts";
import { untilInterrupted } from "../interrupt.ts";
import { integer, urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { addSamplingOptions, answerTo, type SamplingOptions } from "../sampling.ts";
import { modelOf } from "../short-ids.ts";

interface CompleteOptions extends SamplingOptions {
  readonly url: string;
  readonly model: string;
  readonly prompt?: string;
  readonly message?: string;
  readonly system?: string;
  readonly labels?: string[];
  readonly n?: number;
  readonly logprobs?: number;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Ask a model of a running service to continue a text, to answer a message, or to choose a label.")
    .addOption(servedModelOption())
    .addOption(new Option("--prompt <text>", "text to continue").conflicts(["message", "system"]))
    .option("--message <text>", "a message to answer, by the model's chat template")
    .option("--system <text>", "with --message: the system's message before it")
    .option("--labels <text...>", "choose one of these texts instead of writing");
  addSamplingOptions(command)
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
  const { n = 1, json } = options;
  // A single text is printed as it grows.
  const onPiece = (piece: { readonly text: string }) => void (n === 1 && !json && process.stdout.write(piece.text));
  await withService(url, async ({ client }) =>
    untilInterrupted(async (signal) => {
      const model = { name: await modelOf(client, options.model) };
      report(await answerTo(client, { ...input, model }, { onPiece, signal }), options);
    }),
  );
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

function report(completion: Completion, { n = 1, json }: Pick<CompleteOptions, "n" | "json">): void {
  if (json) return printJson(completion);
  if (completion.labelScores) return print(completion.label ?? "none: no score is a number");
  if (n === 1) return print("");
  print(completion.choices.map(({ text }) => text).join("\n---\n"));
}
