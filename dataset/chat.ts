/**
 * Renders conversations with a model's chat template, and finds the characters that the assistant says. The template is Jinja,
 * run by Hugging Face's library with the same variables as transformers' apply_chat_template.
 */
import { Template } from "@huggingface/jinja";
import { SteplogError } from "../schema/errors.ts";
import type { Span } from "./chat-spans.ts";
import { isScored, locate, mark, usesMarks } from "./chat-spans.ts";
import { invalid, shorten } from "./issues.ts";
import type { Message } from "./jsonl.ts";

/** Characters that may be rendered to locate turns one by one, where they cannot be located together. */
const mostRendered = 32_000_000;

export class ChatTemplate {
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;

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

  /** The conversation as the template writes it. @throws DATASET_INVALID with the template's reason if it refuses it */
  write(messages: readonly Message[]): string {
    const text = this.#run(messages);
    if (usesMarks(text)) throw refused("it contains U+FDD0, which is no character");
    return text;
  }

  /**
   * The content of each turn of the assistant that is to be learned, in order, without header and end of turn. `text` is what
   * `write` wrote.
   * @throws MODEL_UNSUPPORTED, with the turn as the field, if what is said in it changes the text around it
   */
  locate(text: string, messages: readonly Message[]): Span[] {
    const scored = messages.flatMap((message, turn) => (isScored(message) ? [turn] : []));
    return this.#locateAll(text, messages, scored) ?? this.#locateEach(text, messages, scored);
  }

  #locateAll(text: string, messages: readonly Message[], turns: readonly number[]): Span[] | null {
    if (turns.length === 0) return [];
    const marked = mark(messages, new Set(turns));
    const spans = locate(text, this.#run(marked.messages), marked);
    return spans && turns.flatMap((turn) => spans.get(turn) ?? []);
  }

  /** Slower: a rendering for each turn. It also finds what a template rewrites, between texts that stay the same. */
  #locateEach(text: string, messages: readonly Message[], turns: readonly number[]): Span[] {
    const affordable = text.length * turns.length <= mostRendered;
    return turns.map((turn) => {
      const span = affordable ? this.#between(text, messages, turn) : null;
      if (span) return span;
      throw notLocated(turn, messages[turn]?.content ?? "");
    });
  }

  #between(text: string, messages: readonly Message[], turn: number): Span | null {
    const marked = messages.map((message, i) => (i === turn ? { ...message, content: lone } : message));
    const [before = "", after, ...more] = this.#run(marked).split(lone);
    const fits = after !== undefined && more.length === 0 && before.length + after.length <= text.length;
    if (!fits || !text.startsWith(before) || !text.endsWith(after)) return null;
    return { start: before.length, end: text.length - after.length };
  }

  #run(messages: readonly Message[]): string {
    const turns = messages.map(({ role, content }) => ({ role, content }));
    try {
      return this.#template.render({ ...this.#specialTokens, messages: turns, add_generation_prompt: false });
    } catch (cause) {
      throw refused(`the model's chat template refuses it: ${shorten(reasonOf(cause), longestReason)}`, cause);
    }
  }
}

/** Characters of the template's own words that are quoted. */
const longestReason = 300;

/** Replaces the content of one turn. */
const lone = "\ufdd00\ufdd1";

function refused(message: string, cause?: unknown): SteplogError {
  return invalid(message, [{ message }], { cause });
}

function notLocated(turn: number, content: string): SteplogError {
  const thinks = content.includes("</think>") ? " (its <think> part is the likely reason)" : "";
  const message =
    `the model's chat template writes the text around this turn differently depending on what the assistant says in ` +
    `it${thinks}, so it cannot be located. Give the turn "weight": 0, or give rows of prompt and completion`;
  return new SteplogError("MODEL_UNSUPPORTED", `${message}.`, [{ field: `messages.${turn}.content`, message }]);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
