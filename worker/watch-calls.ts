/** Watches from outside a thread how long its calls of a tokenizer or chat template take (engine/thread/foreign.ts). */
import { type CallMarks, runningCall } from "../engine/thread/foreign.ts";

const watchMs = 100;
/** Of a process that was stopped or slept, a long time passes between two looks. */
const longestLookMs = 500;

/** Tells again and again for how long the running call has been running. */
export function watchCalls(marks: CallMarks, tell: (ms: number) => void): NodeJS.Timeout {
  let [seen, ms, last]: [number | null, number, number] = [null, 0, performance.now()];
  return setInterval(() => {
    const now = performance.now();
    const call = runningCall(marks);
    ms = call !== null && call === seen ? ms + Math.min(now - last, longestLookMs) : 0;
    [seen, last] = [call, now];
    if (ms > 0) tell(ms);
  }, watchMs);
}

export const needsMemory = "it needs more memory than a thread has";

export function lacksMemory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}
