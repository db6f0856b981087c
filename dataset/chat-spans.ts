/**
 * Finds in a rendered conversation what the assistant says. The conversation is rendered a second time, with a mark in place of
 * each scored content. The text between the marks is the template's own; if the first rendering has the same pieces in the same
 * order, what is between them was said. So the work grows with the conversation's length, however many turns it has.
 */
import type { Message } from "./message.ts";
import { nameOfCall, renamed } from "./message.ts";

/** Characters start, ..., end - 1 of a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A part of what a turn says that a mark replaces: text of its content, or the name of a tool that it calls. */
interface Mark {
  readonly turn: number;
  readonly said: string;
  readonly calls: boolean;
}

/** What stays of a turn's content before and after its marks. */
interface Rest {
  readonly before: string;
  readonly after: string;
}

export interface MarkedConversation {
  readonly messages: readonly Message[];
  readonly marks: readonly Mark[];
  readonly rests: ReadonlyMap<number, Rest>;
}

/** What a template writes before and after what the assistant says, to find where a turn that calls tools begins and ends. */
export interface TurnFrame {
  readonly opening: string;
  readonly closing: string;
}

/** Noncharacters of Unicode, which no text has (`usesMarks` finds out). */
const [markStart, markEnd] = ["\ufdd0", "\ufdd1"];
const markPattern = /\ufdd0(\d+)\ufdd1/gu;

/** A mark by itself. */
export const loneMark = `${markStart}0${markEnd}`;

export function usesMarks(text: string): boolean {
  return text.includes(markStart);
}

export function isScored({ role, weight }: Message): boolean {
  return role === "assistant" && weight !== 0;
}

type AddMark = (said: string) => string;

/** The conversation with marks in place of what the turns in `turns` say. */
export function mark(messages: readonly Message[], turns: ReadonlySet<number>): MarkedConversation {
  const marks: Mark[] = [];
  const rests = new Map<number, Rest>();
  const marked = messages.map((message, turn) => {
    if (!turns.has(turn)) return message;
    const adder = (calls: boolean) => (said: string) => {
      marks.push({ turn, said, calls });
      return `${markStart}${marks.length - 1}${markEnd}`;
    };
    const { content, rest } = markContent(message, adder(false));
    rests.set(turn, rest);
    const calls = message.tool_calls?.map((call) => renamed(call, adder(true)(nameOfCall(call) ?? "")));
    return { ...message, content, ...(calls && { tool_calls: calls }) };
  });
  return { messages: marked, marks, rests };
}

const noRest: Rest = { before: "", after: "" };

function markContent(
  { content, tool_calls: calls }: Message,
  add: AddMark,
): { content: Message["content"]; rest: Rest } {
  if (typeof content !== "string") {
    return { content: content.map((part) => ({ ...part, text: add(part.text) })), rest: noRest };
  }
  // Templates ask whether there is any content beside calls.
  if (content === "" && calls) return { content, rest: noRest };
  const { before, reasoning, answer } = reasoningIn(content);
  if (reasoning !== null && answer.trim() !== "") {
    return { content: `${before}${add(reasoning)}</think>${add(answer)}`, rest: { before, after: "" } };
  }
  if (reasoning === null) return { content: `${before}${add(answer)}`, rest: { before, after: "" } };
  const after = `</think>${answer}`;
  return { content: `${before}${add(reasoning)}${after}`, rest: { before, after } };
}

/**
 * Reasoning and answer are marked separately, since templates write, move or drop the reasoning by its tags. Empty reasoning
 * (null) is not marked: templates ask whether there is any.
 */
function reasoningIn(content: string): { before: string; reasoning: string | null; answer: string } {
  const close = content.indexOf("</think>");
  if (close < 0) return { before: "", reasoning: null, answer: content };
  const opened = content.lastIndexOf("<think>", close);
  const open = opened < 0 ? 0 : opened + "<think>".length;
  const [reasoning, answer] = [content.slice(open, close), content.slice(close + "</think>".length)];
  if (reasoning.trim() !== "") return { before: content.slice(0, open), reasoning, answer };
  if (answer.trim() === "") return { before: "", reasoning: null, answer: content };
  return { before: content.slice(0, close + "</think>".length), reasoning: null, answer };
}

/** Where each mark's text is, by its index, with the template's pieces before and after it. */
interface Found extends Span {
  readonly pieceBefore: string;
  readonly pieceAfter: string;
}

/** The span of each marked turn, ascending; null if the renderings differ in more than what is said. */
export function locate(
  text: string,
  markedText: string,
  conversation: MarkedConversation,
  frame: () => TurnFrame,
): Map<number, Span> | null {
  const found = findMarks(text, markedText, conversation.marks);
  if (!found) return null;
  const spans = new Map<number, Span>();
  for (const [index, { turn, calls }] of conversation.marks.entries()) {
    const last = conversation.marks[index + 1]?.turn !== turn;
    const one = found.get(index);
    const rest = conversation.rests.get(turn);
    if (!one || !rest) continue; // A template may drop the reasoning of a turn.
    const known = spans.get(turn);
    const start = known?.start ?? (calls ? startOfCall(one, frame()) : startOf(one, rest));
    const end = calls && last ? endOfCall(one, frame()) : endOf(one, rest);
    if (start === null || end === null) return null;
    spans.set(turn, { start, end: Math.max(end, known?.end ?? 0) });
  }
  return [...conversation.rests.keys()].every((turn) => spans.has(turn)) ? spans : null;
}

/** A turn begins after the template's opening, with words of the template around the tool's name: {"name": ".... */
function startOfCall({ start, pieceBefore }: Found, { opening }: TurnFrame): number | null {
  const at = opening === "" ? -1 : pieceBefore.lastIndexOf(opening);
  return at < 0 ? null : start - pieceBefore.length + at + opening.length;
}

/** It ends at the template's closing after the arguments of the last call. */
function endOfCall({ end, pieceAfter }: Found, { closing }: TurnFrame): number | null {
  const at = closing === "" ? -1 : pieceAfter.indexOf(closing);
  return at < 0 ? null : end + at;
}

function findMarks(text: string, markedText: string, marks: readonly Mark[]): Map<number, Found> | null {
  const [first = "", ...rest] = markedText.split(markPattern);
  const found = new Map<number, Found>();
  if (!text.startsWith(first)) return null;
  let position = first.length;
  let pieceBefore = first;
  // split() gives text and captured index in turn.
  for (let i = 0; i < rest.length; i += 2) {
    const index = Number(rest[i]);
    const pieceAfter = rest[i + 1] ?? "";
    const last = i + 2 >= rest.length;
    const said = writtenAt(text, position, marks[index]?.said ?? "", pieceAfter, last);
    if (said === null || found.has(index)) return null;
    const end = position + said.length;
    found.set(index, { start: position, end, pieceBefore, pieceAfter });
    position = end + pieceAfter.length;
    pieceBefore = pieceAfter;
  }
  return position === text.length ? found : null;
}

/** What is written at a position of a part that was said, if the template's next piece follows. */
function writtenAt(text: string, position: number, said: string, next: string, last: boolean): string | null {
  for (const form of formsOf(said)) {
    const end = position + form.length;
    const follows = text.startsWith(form, position) && text.startsWith(next, end);
    if (follows && (!last || end + next.length === text.length)) return form;
  }
  return null;
}

/** The ways in which templates write a content: as it is, without white space or line feeds at its ends, or as JSON. */
function* formsOf(said: string): Generator<string> {
  yield said;
  yield said.trim();
  yield said.trimStart();
  yield said.trimEnd();
  const start = said.replace(/^\n+/u, "");
  yield start;
  yield withoutFinalLines(start);
  yield withoutFinalLines(said);
  yield start.trimEnd();
  yield JSON.stringify(said).slice(1, -1);
}

/** A pattern such as /\n+$/ would try every line feed. */
function withoutFinalLines(text: string): string {
  let { length } = text;
  while (text[length - 1] === "\n") length -= 1;
  return text.slice(0, length);
}

/** Tags of reasoning that the content begins with are said too, even if the template writes them with other white space. */
function startOf({ start, pieceBefore }: Found, { before }: Rest): number {
  if (pieceBefore.endsWith(before)) return start - before.length;
  const tags = before.includes("</think>") ? /<think>\s*<\/think>\s*$/u : /<think>\s*$/u;
  const tail = pieceBefore.slice(-100);
  const at = tail.search(tags);
  return at < 0 ? start : start - (tail.length - at);
}

function endOf({ end, pieceAfter }: Found, { after }: Rest): number {
  if (after === "") return end;
  if (pieceAfter.startsWith(after)) return end + after.length;
  return end + (/^\s*<\/think>\s*/u.exec(pieceAfter.slice(0, 100))?.[0].length ?? 0);
}
