/** Turns of conversations, in the format of hosted fine-tuning services and chat templates: parsed by hand, with their fields. */
import type { InputIssue } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import { listOf } from "./issues.ts";
import { textProblem } from "./text.ts";

const roles = ["system", "developer", "user", "assistant", "tool"] as const;

interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** A call of a tool, as the model's chat template takes it: {"type": "function", "function": {"name": ..., "arguments": ...}}. */
type ToolCall = Readonly<Record<string, unknown>>;

export interface Message {
  readonly role: (typeof roles)[number];
  readonly content: string | readonly TextPart[];
  /** 0 excludes a turn of the assistant from scoring. */
  readonly weight?: number | undefined;
  readonly tool_calls?: readonly ToolCall[] | undefined;
  /** Which call a tool answers. */
  readonly tool_call_id?: string | undefined;
  readonly name?: string | undefined;
  /** Reasoning apart from the content, under the names that templates use. */
  readonly reasoning_content?: string | undefined;
  readonly thinking?: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** The turns of a row, or what is wrong with them, by field. */
export function parseMessages(value: unknown): { messages: readonly Message[] } | { issues: readonly InputIssue[] } {
  if (!Array.isArray(value)) return { issues: [issue("messages", "must be a list of turns")] };
  if (value.length === 0) return { issues: [issue("messages", "is empty")] };
  const turns: Message[] = [];
  for (const [index, turn] of value.entries()) {
    const parsed = parseMessage(turn, `messages.${index}`);
    // The first wrong turn is enough: the others are often wrong in the same way.
    if ("issues" in parsed) return parsed;
    turns.push(parsed.message);
  }
  return { messages: turns };
}

function issue(field: string, message: string): InputIssue {
  return { field, message: `"${field}": ${message}` };
}

function parseMessage(value: unknown, path: string): { message: Message } | { issues: InputIssue[] } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [issue(path, 'must be an object such as {"role": "user", "content": "..."}')] };
  }
  const turn = value as Fields;
  const role = roles.find((name) => name === turn["role"]);
  const calls = turn["tool_calls"] ?? undefined;
  const issues = [
    ...(role ? [] : [issue(`${path}.role`, roleProblem(turn))]),
    ...contentIssues(turn["content"], `${path}.content`, calls !== undefined),
    ...weightIssues(turn["weight"], `${path}.weight`),
    ...callIssues(calls, `${path}.tool_calls`, role),
    ...textFields.flatMap((field) => textIssues(turn[field], `${path}.${field}`)),
  ];
  if (!role || issues.length > 0) return { issues };
  const texts = textFields.flatMap((field) => (typeof turn[field] === "string" ? [[field, turn[field]] as const] : []));
  return {
    message: {
      role,
      content: (turn["content"] ?? "") as Message["content"],
      ...(typeof turn["weight"] === "number" && { weight: turn["weight"] }),
      ...(calls !== undefined && { tool_calls: calls as readonly ToolCall[] }),
      ...Object.fromEntries(texts),
    },
  };
}

const textFields = ["tool_call_id", "name", "reasoning_content", "thinking"] as const;

function roleProblem(turn: Fields): string {
  const { role } = turn;
  const shareGpt =
    role === undefined && "from" in turn ? " (these look like turns of ShareGPT: use the preset SHAREGPT)" : "";
  const seen = typeof role === "string" ? `; it is ${listOf([role])}` : "";
  return `must be one of ${roles.join(", ")}${seen}${shareGpt}`;
}

/** A turn that calls tools needs no content. */
function contentIssues(content: unknown, path: string, calls: boolean): InputIssue[] {
  if (typeof content === "string") return textIssues(content, path);
  if (content === null || content === undefined) return calls ? [] : [issue(path, "is missing")];
  if (!Array.isArray(content) || content.length > limits.turns) return [issue(path, contentAdvice)];
  for (const [index, part] of content.entries()) {
    const { type, text } = (typeof part === "object" && part !== null ? part : {}) as Fields;
    if (typeof type !== "string") return [issue(path, contentAdvice)];
    if (type !== "text") return [issue(`${path}.${index}.type`, `is ${listOf([type])}; only text can be learned`)];
    if (typeof text !== "string") return [issue(`${path}.${index}.text`, "must be text")];
    const problems = textIssues(text, `${path}.${index}.text`);
    if (problems.length > 0) return problems;
  }
  return [];
}

const contentAdvice = 'must be text, or a list of parts such as {"type": "text", "text": "..."}';

function textIssues(text: unknown, path: string): InputIssue[] {
  if (text === undefined || text === null) return [];
  if (typeof text !== "string") return [issue(path, "must be text")];
  const problem = textProblem(text);
  return problem === null ? [] : [issue(path, problem)];
}

function weightIssues(weight: unknown, path: string): InputIssue[] {
  return weight === undefined || weight === null || weight === 0 || weight === 1 ? [] : [issue(path, "must be 0 or 1")];
}

function callIssues(calls: unknown, path: string, role: string | undefined): InputIssue[] {
  if (calls === undefined) return [];
  if (!Array.isArray(calls) || calls.length === 0) return [issue(path, "must be a list of calls")];
  if (calls.length > limits.turns) return [issue(path, `has ${calls.length} calls; the limit is ${limits.turns}`)];
  if (role !== "assistant") return [issue(path, "only the assistant calls tools")];
  const wrong = calls.findIndex((call: unknown) => nameOfCall(call) === null);
  return wrong < 0 ? [] : [issue(`${path}.${wrong}.function.name`, "must be letters, digits, and any of _ . - :")];
}

/** The name of the tool that is called; null if there is none that a template can write. */
export function nameOfCall(call: unknown): string | null {
  const { function: its, name } = (typeof call === "object" && call !== null ? call : {}) as Fields;
  const inner = typeof its === "object" && its !== null ? (its as Fields)["name"] : name;
  return typeof inner === "string" && /^[\w.:-]{1,200}$/u.test(inner) ? inner : null;
}

/** The call with another name. */
export function renamed(call: ToolCall, name: string): ToolCall {
  const its = call["function"];
  return typeof its === "object" && its !== null ? { ...call, function: { ...its, name } } : { ...call, name };
}
