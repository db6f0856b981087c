/**
 * Finds in a rendered conversation what the assistant says. The conversation is rendered a second time, with a mark in place of
 * each scored content. The text between the marks is the template's own; if the first rendering has the same pieces in the same
 * order, what is between them was said. So the work grows with the conversation's length, however many turns it has.
 */
import type { Message } from "./jsonl.ts";

/** Characters start, ..., end - 1 of a text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A part of a turn's content that a mark replaces. */
interface Mark {
  readonly turn: number;
  readonly said: string;
}

/** A turn's content as the text before its marks, the marks with the text between them, and the text after them. */
interface MarkedContent {
  readonly before: string;
  readonly marks: readonly string[];
  readonly between: string;
  readonly after: string;
}

export interface MarkedConversation {
  readonly messages: readonly Message[];
  readonly marks: readonly Mark[];
  readonly contents: ReadonlyMap<number, MarkedContent>;
}

/** Noncharacters of Unicode, which no text has (`usesMarks` finds out). */
const [markStart, markEnd] = ["\ufdd0", "\ufdd1"];
const markPattern = /\ufdd0(\d+)\ufdd1/gu;

export function usesMarks(text: string): boolean {
  return text.includes(markStart);
}

export function isScored({ role, weight }: Message): boolean {
  return role === "assistant" && weight !== 0;
}

/** The conversation with marks in place of what the turns in `turns` say. */
export function mark(messages: readonly Message[], turns: ReadonlySet<number>): MarkedConversation {
  const marks: Mark[] = [];
  const contents = new Map<number, MarkedContent>();
  const marked = messages.map((message, turn) => {
    if (!turns.has(turn)) return message;
    const content = partsOf(message.content);
    contents.set(turn, content);
    const [first = "", second] = content.marks.map((said) => {
      marks.push({ turn, said });
      return `${markStart}${marks.length - 1}${markEnd}`;
    });
    const rest = second === undefined ? "" : `${content.between}${second}`;
    return { ...message, content: `${content.before}${first}${rest}${content.after}` };
  });
  return { messages: marked, marks, contents };
}

/**
 * Reasoning and answer are marked separately, since templates write, move or drop the reasoning by its tags. An empty part is
 * not marked: templates ask whether there is one.
 */
function partsOf(content: string): MarkedContent {
  const plain = { before: "", marks: [content], between: "", after: "" };
  const close = content.indexOf("</think>");
  if (close < 0) return plain;
  const opened = content.lastIndexOf("<think>", close);
  const open = opened < 0 ? 0 : opened + "<think>".length;
  const [reasoning, answer] = [content.slice(open, close), content.slice(close + "</think>".length)];
  const [reasons, answers] = [reasoning.trim() !== "", answer.trim() !== ""];
  if (reasons && answers) {
    return { before: content.slice(0, open), marks: [reasoning, answer], between: "</think>", after: "" };
  }
  if (reasons) return { ...plain, before: content.slice(0, open), marks: [reasoning], after: `</think>${answer}` };
  return answers ? { ...plain, before: content.slice(0, content.length - answer.length), marks: [answer] } : plain;
}

/** Where each mark's text is, by its index, with the template's pieces before and after it. */
interface Found extends Span {
  readonly pieceBefore: string;
  readonly pieceAfter: string;
}

/** The span of each marked turn, ascending; null if the renderings differ in more than what is said. */
export function locate(text: string, markedText: string, conversation: MarkedConversation): Map<number, Span> | null {
  const found = findMarks(text, markedText, conversation.marks);
  if (!found) return null;
  const spans = new Map<number, Span>();
  for (const [index, { turn }] of conversation.marks.entries()) {
    const one = found.get(index);
    const content = conversation.contents.get(turn);
    if (!one || !content) continue; // A template may drop the reasoning of a turn.
    const { start } = spans.get(turn) ?? { start: startOf(one, content) };
    spans.set(turn, { start, end: endOf(one, content) });
  }
  return [...conversation.contents.keys()].every((turn) => spans.has(turn)) ? spans : null;
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
function startOf({ start, pieceBefore }: Found, { before, marks }: MarkedContent): number {
  if (pieceBefore.endsWith(before)) return start - before.length;
  const tags = marks.length === 2 || !before.includes("</think>") ? /<think>\s*$/u : /<think>\s*<\/think>\s*$/u;
  const tail = pieceBefore.slice(-100);
  const at = tail.search(tags);
  return at < 0 ? start : start - (tail.length - at);
}

function endOf({ end, pieceAfter }: Found, { after }: MarkedContent): number {
  if (after === "") return end;
  if (pieceAfter.startsWith(after)) return end + after.length;
  return end + (/^\s*<\/think>\s*/u.exec(pieceAfter.slice(0, 100))?.[0].length ?? 0);
}
