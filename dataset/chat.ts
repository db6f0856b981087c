/**
 * Renders conversations with a model's chat template, and finds the characters that the assistant says. The template is Jinja,
 * run by Hugging Face's library with the same variables as transformers' apply_chat_template.
 */
import { Template } from "@huggingface/jinja";
import { SteplogError } from "../schema/errors.ts";
import type { Message } from "./jsonl.ts";

/** Characters start, ..., end - 1 of a text. */
interface Span {
  readonly start: number;
  readonly end: number;
}

interface RenderedChat {
  readonly text: string;
  /** The content of each assistant turn to be learned, in order, without header and end of turn. */
  readonly spans: readonly Span[];
}

/** Replaces the content of a turn, to find its position. From a private use area, so no conversation has it. */
const placeholder = "\u{f8ff}\u{f8fe}\u{f8ff}";

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

  /**
   * @throws DATASET_INVALID with the template's reason if it refuses the conversation; MODEL_UNSUPPORTED if the content of a turn
   *   changes the text around it
   */
  render(messages: readonly Message[]): RenderedChat {
    const text = this.#run(messages);
    const spans = messages.flatMap(({ role, weight }, index) =>
      role === "assistant" && weight !== 0 ? [this.#spanOf(text, messages, index)] : [],
    );
    return { text, spans };
  }

  #spanOf(text: string, messages: readonly Message[], index: number): Span {
    const marked = this.#run(
      messages.map((message, i) => (i === index ? { ...message, content: placeholder } : message)),
    );
    const [before = "", after, ...more] = marked.split(placeholder);
    const fits = after !== undefined && more.length === 0 && before.length + after.length <= text.length;
    if (fits && text.startsWith(before) && text.endsWith(after)) {
      return { start: before.length, end: text.length - after.length };
    }
    throw new SteplogError(
      "MODEL_UNSUPPORTED",
      "The model's chat template renders other turns differently depending on what the assistant says in one, so its " +
        "content cannot be located. Give rows of prompt and completion, or of input_ids and labels.",
    );
  }

  #run(messages: readonly Message[]): string {
    const turns = messages.map(({ role, content }) => ({ role, content }));
    try {
      return this.#template.render({ ...this.#specialTokens, messages: turns, add_generation_prompt: false });
    } catch (cause) {
      const message = `the model's chat template refuses it: ${reasonOf(cause)}`;
      throw new SteplogError("DATASET_INVALID", message, [{ message }], { cause });
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
