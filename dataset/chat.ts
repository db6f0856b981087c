/**
 * Renders conversations with a model's chat template, and finds the characters that the assistant says. The template is Jinja,
 * run by Hugging Face's library with the same variables as transformers' apply_chat_template.
 */
import { Template } from "@huggingface/jinja";
import type { InputIssue } from "../schema/errors.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Span, TurnFrame } from "./chat-spans.ts";
import { isScored, locate, loneMark, mark, usesMarks } from "./chat-spans.ts";
import { invalid, shorten } from "./issues.ts";
import type { ChatRow } from "./jsonl.ts";
import type { Message } from "./message.ts";

/** Characters that may be rendered to locate turns one by one, where they cannot be located together. */
const mostRendered = 32_000_000;

export class ChatTemplate {
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;
  readonly #taken = new Map<Feature, boolean>();

  /** `specialTokens` are named as in tokenizer_config.json: bos_token and so on. @throws MODEL_INVALID */
  constructor(source: string, specialTokens: Readonly<Record<string, string>>) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new SteplogError("MODEL_INVALID", `The model's chat template cannot be read: ${reasonOf(cause)}.`, [], {
        cause,
      });
    }
    this.#specialTokens = specialTokens;
  }

  /**
   * The conversation as the template writes it.
   * @throws DATASET_INVALID with the template's reason if it refuses it, or naming the field that it does not write
   */
  write(row: ChatRow): string {
    return this.#written(row, false);
  }

  /** The same, with what the template writes before the assistant's next turn. */
  ask(row: ChatRow): string {
    return this.#written(row, true);
  }

  #written(row: ChatRow, generation: boolean): string {
    const issue = unwritten(row, this.#takes);
    if (issue) throw invalid(`A conversation does not fit the model: ${issue.message}.`, [issue]);
    const text = this.#run(row, generation);
    if (usesMarks(text)) throw refused("it contains U+FDD0, which is no character");
    if (!text.isWellFormed()) throw refused("it contains half of a surrogate pair, which is no character");
    return text;
  }

  /**
   * The content of each turn of the assistant that is to be learned, in order, without header and end of turn, with the tools
   * that it calls. `text` is what `write` wrote.
   * @throws MODEL_UNSUPPORTED, with the turn as the issue's field, if what is said in it changes the text around it
   */
  locate(text: string, row: ChatRow): Span[] {
    const scored = row.messages.flatMap((message, turn) => (isScored(message) ? [turn] : []));
    return this.#locateAll(text, row, scored) ?? this.#locateEach(text, row, scored);
  }

  #locateAll(text: string, row: ChatRow, turns: readonly number[]): Span[] | null {
    if (turns.length === 0) return [];
    const marked = mark(row.messages, new Set(turns));
    const spans = locate(text, this.#run({ ...row, messages: marked.messages }), marked, () => this.#frame);
    return spans && turns.flatMap((turn) => spans.get(turn) ?? []);
  }

  /** Slower: a rendering for each turn. It also finds what a template rewrites, between texts that stay the same. */
  #locateEach(text: string, row: ChatRow, turns: readonly number[]): Span[] {
    const affordable = text.length * turns.length <= mostRendered;
    return turns.map((turn) => {
      const span = affordable ? this.#between(text, row, turn) : null;
      if (span) return span;
      throw notLocated(turn, row.messages[turn]);
    });
  }

  #between(text: string, row: ChatRow, turn: number): Span | null {
    const messages = row.messages.map((message, i) => (i === turn ? { ...message, content: loneMark } : message));
    if (messages[turn]?.tool_calls) return null;
    const [before = "", after, ...more] = this.#run({ ...row, messages }).split(loneMark);
    const fits = after !== undefined && more.length === 0 && before.length + after.length <= text.length;
    if (!fits || !text.startsWith(before) || !text.endsWith(after)) return null;
    return { start: before.length, end: text.length - after.length };
  }

  /** Whether the template writes a probe; a template that refuses it has words for it, so it may refuse the row itself. */
  readonly #takes = (feature: Feature): boolean => {
    const known = this.#taken.get(feature);
    if (known !== undefined) return known;
    const written = this.#attempt(probes[feature]);
    const takes = written === null || (written.includes(loneMark) && !/["']text["']\s*:/u.test(written));
    this.#taken.set(feature, takes);
    return takes;
  };

  get #frame(): TurnFrame {
    const asked = this.#attempt({ messages: [hello] }) ?? "";
    const opened = this.#attempt({ messages: [hello] }, true) ?? "";
    const answered = this.#attempt({ messages: [hello, { role: "assistant", content: loneMark }] }) ?? "";
    return {
      opening: opened.startsWith(asked) ? opened.slice(asked.length) : "",
      closing: answered.split(loneMark)[1] ?? "",
    };
  }

  #attempt(row: ChatRow, generation = false): string | null {
    try {
      return this.#run(row, generation);
    } catch {
      return null;
    }
  }

  #run({ messages, tools }: ChatRow, generation = false): string {
    const turns = messages.map((turn) =>
      Object.fromEntries(Object.entries(turn).filter(([field]) => field !== "weight")),
    );
    const variables = { ...this.#specialTokens, ...(tools && { tools }), add_generation_prompt: generation };
    try {
      return this.#template.render({ ...variables, messages: turns });
    } catch (cause) {
      throw refused(`the model's chat template refuses it: ${shorten(reasonOf(cause), longestReason)}`, cause);
    }
  }
}

/** What not every template writes. */
type Feature = "tools" | "calls" | "answers" | "parts";

const hello: Message = { role: "user", content: "Hello" };
const call = { id: "abcdefghi", type: "function", function: { name: loneMark, arguments: { a: "b" } } };
const calling: Message = { role: "assistant", content: "", tool_calls: [call] };
const probes: Readonly<Record<Feature, ChatRow>> = {
  tools: {
    messages: [hello],
    tools: [
      {
        type: "function",
        function: {
          name: loneMark,
          description: "d",
          parameters: { type: "object", properties: { a: { type: "string", description: "e" } }, required: ["a"] },
        },
      },
    ],
  },
  calls: { messages: [hello, calling] },
  answers: { messages: [hello, calling, { role: "tool", name: "n", tool_call_id: call.id, content: loneMark }] },
  parts: { messages: [{ role: "user", content: [{ type: "text", text: loneMark }] }] },
};

/** The first field of a row that the template leaves out. */
function unwritten({ messages, tools }: ChatRow, takes: (feature: Feature) => boolean): InputIssue | null {
  const issue = (field: string, what: string) => ({
    field,
    message: `"${field}": the model's chat template does not write ${what}`,
  });
  if (tools && tools.length > 0 && !takes("tools")) return issue("tools", "tools");
  for (const [turn, { role, content, tool_calls: calls }] of messages.entries()) {
    if (calls && !takes("calls")) return issue(`messages.${turn}.tool_calls`, "calls of tools");
    if (role === "tool" && !takes("answers")) return issue(`messages.${turn}.role`, "what tools answer");
    if (typeof content !== "string" && !takes("parts")) {
      return issue(`messages.${turn}.content`, "lists of text parts. Give the content as one text");
    }
  }
  return null;
}

/** Characters of the template's own words that are quoted. */
const longestReason = 300;

function refused(message: string, cause?: unknown): SteplogError {
  return invalid(message, [{ message }], { cause });
}

function notLocated(turn: number, said: Message | undefined): SteplogError {
  const thinks = typeof said?.content === "string" && said.content.includes("</think>");
  const reason = thinks ? " (its <think> part is the likely reason)" : "";
  const message =
    `the model's chat template writes the text around this turn differently depending on what the assistant says in ` +
    `it${reason}, so it cannot be located. Give the turn "weight": 0, or give rows of prompt and completion`;
  const field = `messages.${turn}.${said?.tool_calls ? "tool_calls" : "content"}`;
  return new SteplogError("MODEL_UNSUPPORTED", `${message}.`, [{ field, message }]);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
