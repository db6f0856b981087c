/**
 * Conversations as a model's chat template writes them, and which characters of that are the assistant's. The template is
 * Jinja, run by Hugging Face's own library with what transformers' apply_chat_template gives it.
 */
import { Template } from "@huggingface/jinja";
import { SteplogError } from "../schema/errors.ts";
import type { Message } from "./jsonl.ts";

/** Places of a text, from the first character to the one behind the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface RenderedChat {
  readonly text: string;
  /** What the assistant says in each of its turns that are to be learned, in order; without header and end of turn. */
  readonly spans: readonly Span[];
}

/** Stands for what an assistant says, to find its place. Of a private use area: no conversation has it. */
const placeholder = "\u{f8ff}\u{f8fe}\u{f8ff}";

export class ChatTemplate {
  readonly #template: Template;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /** `specialTokens` by their names in tokenizer_config.json: bos_token and so on. @throws MODEL_INVALID */
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
   * @throws DATASET_INVALID with the template's own reason, when it refuses the conversation; MODEL_UNSUPPORTED when it
   *   writes one turn so that its place depends on what is said in it
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
      "The model's chat template changes other turns with what the assistant says in one, so that its part cannot be " +
        "told from the rest. Give rows of prompt and completion, or of input_ids and labels.",
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
