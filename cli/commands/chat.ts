/** steplog chat --model NAME: a conversation with a model of a running service; of what is piped into it, one answer. */
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import type { CreateCompletionInput } from "../../client/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import { chatInTerminal } from "../chat/chat.ts";
import { Conversation } from "../chat/conversation.ts";
import { servedModelOption } from "../completion/names.ts";
import { untilInterrupted } from "../interrupt.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { type Remote, withService } from "../remote.ts";
import { addSamplingOptions, answerTo, type SamplingOptions } from "../sampling.ts";
import { modelOf } from "../short-ids.ts";

interface ChatOptions extends SamplingOptions {
  readonly url: string;
  readonly model: string;
  readonly system?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Talk to a model of a running service, by its chat template. Answers one message if it is piped into the command.",
    )
    .addOption(servedModelOption())
    .option("--system <text>", "the system's message before the conversation");
  addSamplingOptions(command)
    .addOption(urlOption())
    .option("--json", "of a piped message: print the completion as one JSON object")
    .addHelpText(
      "after",
      '\nExamples:\n  steplog chat --model demo --system "Answer in one sentence."\n' +
        "  steplog chat --model demo --max-tokens 40 < question.txt",
    )
    .action(chat);
}

async function chat({ url, model, system, json, ...sampling }: ChatOptions): Promise<void> {
  const live = process.stdin.isTTY;
  if (live && json)
    throw new SteplogError("INVALID_ARGUMENT", "--json answers a message that is piped into the command.");
  await withService(url, async ({ client }) => {
    const input = { ...sampling, model: { name: await modelOf(client, model) } };
    if (live) return chatInTerminal(client, input, system ?? null);
    const messages = new Conversation(system).asking((await text(process.stdin)).replace(/\n$/u, ""));
    return answerOnce(client, { ...input, messages }, json ?? false);
  });
}

async function answerOnce(client: Remote["client"], input: CreateCompletionInput, json: boolean): Promise<void> {
  const onPiece = (piece: { readonly text: string }) => void (json || process.stdout.write(piece.text));
  await untilInterrupted(async (signal) => {
    const whole = await answerTo(client, input, { onPiece, signal });
    if (json) printJson(whole);
    else print("");
  });
}
