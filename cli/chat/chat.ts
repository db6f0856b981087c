/** A conversation with a model in a terminal. Ctrl-C stops an answer, not the chat. */
import type { CreateCompletionInput } from "../../client/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import { reportFailure } from "../exit.ts";
import type { Remote } from "../remote.ts";
import { answerTo } from "../sampling.ts";
import { coloursOf } from "../terminal.ts";
import { Conversation, help, meaningOf, type Said } from "./conversation.ts";
import { Typing } from "./typing.ts";

type Ask = Omit<CreateCompletionInput, "messages">;

/** Until /exit or Ctrl-D. */
export async function chatInTerminal(client: Remote["client"], input: Ask, system: string | null): Promise<void> {
  const conversation = new Conversation(system);
  const { dim } = coloursOf();
  say(dim(`Talking to ${input.model.name ?? "the model"}. /help says what can be typed; /exit ends.`));
  const typing = new Typing();
  try {
    for (;;) {
      const typed = await typing.message();
      if (typed === null) return say("");
      const said = meaningOf(typed);
      if (said.kind === "exit") return;
      if (said.kind !== "message") say(dim(obey(said, conversation)));
      else if (said.text.trim() !== "")
        await typing.during((signal) => answer(client, input, { conversation, text: said.text, signal }));
    }
  } finally {
    typing.close();
  }
}

const say = (line: string) => void process.stdout.write(`${line}\n`);

/** What is said about a line that was for the command. */
function obey(said: Exclude<Said, { readonly kind: "message" | "exit" }>, conversation: Conversation): string {
  if (said.kind === "help") return help;
  if (said.kind === "unknown")
    return `There is no ${said.word}. /help prints what there is; //TEXT says a text that begins with a slash.`;
  if (said.kind === "reset") {
    conversation.reset();
    return "What was said is forgotten.";
  }
  conversation.setSystem(said.text);
  return said.text === "" ? "Nothing comes before the conversation." : "This comes before the conversation now.";
}

interface Question {
  readonly conversation: Conversation;
  readonly text: string;
  /** Stops the answer. */
  readonly signal: AbortSignal;
}

/** Prints the answer as it grows, and keeps what there is of it. What the service refuses is told, and not kept. */
async function answer(client: Remote["client"], input: Ask, { conversation, text, signal }: Question): Promise<void> {
  let written = "";
  const onPiece = ({ text: piece }: { readonly text: string }) => {
    written += piece;
    process.stdout.write(piece);
  };
  try {
    await answerTo(client, { ...input, messages: conversation.asking(text) }, { onPiece, signal });
    say("");
  } catch (error) {
    if (written !== "" || signal.aborted) say("");
    if (!signal.aborted) report(error);
  }
  conversation.keep(text, written);
}

/** The chat goes on after an error of the service. @throws another, and what no other message would mend */
function report(error: unknown): void {
  if (!(error instanceof SteplogError) || ["UNAUTHENTICATED", "NOT_FOUND"].includes(error.code)) throw error;
  reportFailure(error);
}
