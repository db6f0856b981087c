/** What was said so far, and the lines that mean something to the command instead of being said. */
import type { MessageInput } from "../../client/schema-types.ts";

type Message = Pick<MessageInput, "role" | "content">;

export class Conversation {
  #said: Message[] = [];
  #system: string | null;

  constructor(system: string | null = null) {
    this.#system = system;
  }

  /** What a model reads to answer `text`. */
  asking(text: string): Message[] {
    const before: Message[] = this.#system === null ? [] : [{ role: "system", content: this.#system }];
    return [...before, ...this.#said, { role: "user", content: text }];
  }

  /** Keeps a question with its answer, also one that was stopped; one without an answer was not asked. */
  keep(text: string, answer: string): void {
    if (answer === "") return;
    this.#said.push({ role: "user", content: text }, { role: "assistant", content: answer });
  }

  reset(): void {
    this.#said = [];
  }

  /** From the next question on. @param text nothing takes it off */
  setSystem(text: string): void {
    this.#system = text === "" ? null : text;
  }
}

export type Said =
  | { readonly kind: "message"; readonly text: string }
  | { readonly kind: "exit" }
  | { readonly kind: "reset" }
  | { readonly kind: "help" }
  | { readonly kind: "system"; readonly text: string }
  | { readonly kind: "unknown"; readonly word: string };

export const help = `/reset          forget what was said
/system TEXT    have TEXT before the conversation; without TEXT, nothing
/exit           end, as Ctrl-D does
/help           print this
\\ at the end of a line: the message goes on in the next line. """ alone in a line: it goes on until the next """.
//TEXT          say TEXT with one slash before it. Ctrl-C stops an answer.`;

/** A line that begins with a slash is for the command, unless it begins with two. */
export function meaningOf(text: string): Said {
  const [, word = "", rest = ""] = /^\/([a-z]+)(?:\s+([^]*))?$/u.exec(text) ?? [];
  if (text.startsWith("//")) return { kind: "message", text: text.slice(1) };
  if (!text.startsWith("/")) return { kind: "message", text };
  if (word === "exit" || word === "quit") return { kind: "exit" };
  if (word === "reset" || word === "help") return { kind: word };
  if (word === "system") return { kind: "system", text: rest.trim() };
  return { kind: "unknown", word: text.split(/\s/u)[0] ?? text };
}
