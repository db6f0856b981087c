/**
 * Conversations that are too long for a model, without whole exchanges of their history. An exchange is a turn of the user with
 * all turns up to the next one. The system's turns at the start, and everything from the last question that has a scored answer,
 * always stay, so a template that wants turns in order gets them so.
 */
import { isScored } from "./chat-spans.ts";
import type { CutSide } from "./cut.ts";
import type { ChatRow } from "./jsonl.ts";
import type { Message } from "./message.ts";

export interface History {
  /** Exchanges that may be left out. */
  readonly exchanges: number;
  /** The conversation without so many of them: the first ones (START), or the last ones (END). */
  without(count: number, side: CutSide): ChatRow;
}

export function historyOf(row: ChatRow): History {
  const { messages } = row;
  const starts = startsOf(messages);
  const scored = messages.findLastIndex(isScored);
  const exchanges = Math.max(
    0,
    starts.findLastIndex((start) => start <= scored),
  );
  return {
    exchanges,
    without(count, side) {
      const left = side === "START" ? 0 : exchanges - count;
      const [from, to] = [starts[left] ?? 0, starts[left + count] ?? 0];
      return { ...row, messages: [...messages.slice(0, from), ...messages.slice(to)] };
    },
  };
}

/** Where each exchange starts. The first one begins after the system's turns, whoever speaks. */
function startsOf(messages: readonly Message[]): number[] {
  const first = messages.findIndex(({ role }) => role !== "system" && role !== "developer");
  return messages.flatMap(({ role }, index) => (index === first || (index > first && role === "user") ? [index] : []));
}
