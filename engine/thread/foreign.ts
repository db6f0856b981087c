/**
 * Calls of a model's tokenizer and chat template, whose patterns and loops may never end. The thread that computes marks each
 * call in shared memory, and another one watches how long it takes (worker/engine-run.ts).
 */
import { blameModel } from "../../dataset/model-text.ts";
import type { Tokenizer } from "../../dataset/tokenizer.ts";
import { SteplogError } from "../../schema/errors.ts";

export interface ForeignCalls {
  begin(): void;
  end(): void;
}

/** [number of calls so far, whether one runs, for whom] */
export type CallMarks = Int32Array<SharedArrayBuffer>;

export function callMarks(): CallMarks {
  return new Int32Array(new SharedArrayBuffer(12));
}

/** `caller` is for whom calls are made, where that may be one of many: the number of a request. */
export function markingCalls(marks: CallMarks, caller = 0): ForeignCalls {
  return {
    begin() {
      Atomics.add(marks, 0, 1);
      Atomics.store(marks, 2, caller);
      Atomics.store(marks, 1, 1);
    },
    end: () => void Atomics.store(marks, 1, 0),
  };
}

export const unwatchedCalls: ForeignCalls = { begin() {}, end() {} };

/** The call that runs now, by its number; null if none does. */
export function runningCall(marks: CallMarks): number | null {
  return Atomics.load(marks, 1) === 1 ? Atomics.load(marks, 0) : null;
}

/** For whom the last call was made. */
export function lastCaller(marks: CallMarks): number {
  return Atomics.load(marks, 2);
}

/** A call that was ended from outside. */
export function blamedCall(model: string, reason: string): SteplogError {
  const { code, doing, advice } = blameModel(`Running the tokenizer or chat template of ${model} on a text`);
  return new SteplogError(code, `${doing} was given up: ${reason}. ${advice}`);
}

/** The same tokenizer, whose calls are marked. */
export function watchedTokenizer(tokenizer: Tokenizer, calls: ForeignCalls): Tokenizer {
  const { chat } = tokenizer;
  return {
    mask: tokenizer.mask,
    unknown: tokenizer.unknown,
    encodeStart: marked(calls, (text) => tokenizer.encodeStart(text)),
    encodeWhole: marked(calls, (text) => tokenizer.encodeWhole(text)),
    encodeMore: marked(calls, (text) => tokenizer.encodeMore(text)),
    decode: marked(calls, (ids) => tokenizer.decode(ids)),
    bytesOf: (id) => tokenizer.bytesOf(id),
    isSpecial: (id) => tokenizer.isSpecial(id),
    specialText: (id) => tokenizer.specialText(id),
    chat: chat && {
      write: marked(calls, (row) => chat.write(row)),
      locate: marked(calls, (text, row) => chat.locate(text, row)),
      ask: marked(calls, (row) => chat.ask(row)),
    },
  };
}

function marked<A extends unknown[], R>(calls: ForeignCalls, call: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    calls.begin();
    try {
      return call(...args);
    } finally {
      calls.end();
    }
  };
}
