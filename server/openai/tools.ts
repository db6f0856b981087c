/**
 * Calls of tools in what a model writes. Two forms are known: Hermes' and Qwen's, <tool_call>{"name": ..., "arguments":
 * {...}}</tool_call>, any number of them; and Mistral's, a list of such objects, with or without [TOOL_CALLS] before it (the
 * marker is a special token, which text leaves out). Whatever cannot be read as calls of the tools that were given stays
 * text, so nothing that a model wrote is lost.
 */
import { z } from "zod";

export interface ToolCall {
  readonly name: string;
  /** JSON text, as the protocol has it. */
  readonly arguments: string;
}

export interface ReadAnswer {
  readonly content: string;
  readonly calls: readonly ToolCall[];
}

const opening = "<tool_call>";
const closing = "</tool_call>";
const listMarker = "[TOOL_CALLS]";

/**
 * Reads an answer as it is written: `add` returns the text that is certainly content, and `end` what is left. From what may
 * begin a call, text is held back.
 */
export class ToolReader {
  readonly #names: ReadonlySet<string>;
  readonly #parallel: boolean;
  #sent = false;
  #held = "";

  /** @param parallel whether there may be more than one call */
  constructor(names: Iterable<string>, parallel: boolean) {
    this.#names = new Set(names);
    this.#parallel = parallel;
  }

  add(text: string): string {
    this.#held += text;
    const at = this.#firstMark();
    const certain = this.#held.slice(0, at);
    this.#held = this.#held.slice(at);
    // White space before a call is not content, and whether a call follows is not known yet.
    const content = certain.trimEnd();
    const kept = certain.slice(content.length);
    this.#held = kept + this.#held;
    if (content !== "") this.#sent = true;
    return content;
  }

  end(): ReadAnswer {
    const read = this.#read(this.#held);
    this.#held = "";
    return read;
  }

  /** Where a call may begin; the length of the text for nowhere. */
  #firstMark(): number {
    const text = this.#held;
    const starts = [opening, listMarker].map((mark) => startOf(text, mark));
    const isList = !this.#sent && /^\s*\[\s*(?:\{|$)/u.test(text);
    return Math.min(text.length, ...starts, ...(isList ? [0] : []));
  }

  #read(text: string): ReadAnswer {
    const tagged = readTagged(text);
    const found = tagged.calls.length > 0 ? tagged : readList(text);
    const known = found.calls.length > 0 && found.calls.every(({ name }) => this.#names.has(name));
    if (!known) return { content: text, calls: [] };
    return this.#parallel ? found : { ...found, calls: found.calls.slice(0, 1) };
  }
}

/** Where `mark` is, or where the end of the text may begin it. */
function startOf(text: string, mark: string): number {
  const whole = text.indexOf(mark);
  if (whole >= 0) return whole;
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length -= 1)
    if (text.endsWith(mark.slice(0, length))) return text.length - length;
  return text.length;
}

function readTagged(text: string): ReadAnswer {
  const [before = "", ...blocks] = text.split(opening);
  const read = blocks.map((block) => {
    const [json = "", ...after] = block.split(closing);
    return { call: callOf(parsed(json)), after: after.join(closing) };
  });
  const calls = read.flatMap(({ call }) => call ?? []);
  if (calls.length < blocks.length) return { content: text, calls: [] };
  return { content: [before, ...read.map(({ after }) => after)].join("").trim(), calls };
}

function readList(text: string): ReadAnswer {
  const [before = "", ...rest] = text.includes(listMarker) ? text.split(listMarker) : ["", text];
  const items = parsed(rest.join(listMarker));
  const calls = Array.isArray(items) ? items.flatMap((item: unknown) => callOf(item) ?? []) : [];
  const all = Array.isArray(items) && calls.length === items.length;
  return all ? { content: before.trimEnd(), calls } : { content: text, calls: [] };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

const callSchema = z.object({
  name: z.string(),
  arguments: z.union([z.record(z.string(), z.unknown()), z.string()]).default({}),
});

function callOf(value: unknown): ToolCall | null {
  const { data } = callSchema.safeParse(value);
  if (!data) return null;
  const { name, arguments: given } = data;
  return { name, arguments: typeof given === "string" ? given : JSON.stringify(given) };
}
