/**
 * The process of a sandbox (host.ts starts it). Its main thread stays free: it watches time and memory of the thread that runs the function,
 * and ends with the process that started it, even while the function never returns. A process that has exceeded a limit
 * or has grown is not used again.
 */
import { Worker } from "node:worker_threads";
import { programPath } from "../schema/package.ts";
import type { Answer, Blame, Call, Limits, Outcome, ThreadCall, ThreadMessage } from "./messages.ts";
import { failedOf } from "./messages.ts";

const watchMs = 50;
/** Until the function is called. */
const startMs = 60_000;
/** Of a process that was stopped or slept, a long time passes between two looks; it had no chance to progress. */
const longestLookMs = 500;
/** A process of this size after its work is replaced. */
const grownMb = 300;

let thread: { readonly worker: Worker; readonly heapMb: number } | null = null;

process.on("disconnect", () => process.exit());
// A terminal sends these to every process of the command; the one that started this process decides.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("message", (call: Call) => void run(call).then((answer) => process.send?.(answer)));

function run(call: Call): Promise<Answer> {
  const worker = threadOf(call.limits.heapMb);
  const counters = new Int32Array(new SharedArrayBuffer(8));
  let { blame } = call;
  return new Promise((resolve) => {
    const end = (outcome: Outcome, reusable: boolean) => {
      clearInterval(timer);
      worker.off("message", take).off("error", fail).off("exit", exit);
      resolve({ outcome, reusable: reusable && residentMb() < grownMb });
    };
    const refuse = (reason: string) => end(refusal(blame, reason, Atomics.load(counters, 1)), false);
    const take = (message: ThreadMessage) => {
      if (message.type === "begin") blame = message.blame;
      else end(message, true);
    };
    const fail = (error: Error & { code?: string }) =>
      refuse(error.code === "ERR_WORKER_OUT_OF_MEMORY" ? heapReason(call.limits) : error.message);
    const exit = () => refuse("its thread ended");
    const timer = watch(call.limits, counters, refuse);
    worker.on("message", take).on("error", fail).on("exit", exit);
    worker.postMessage({ ...call, counters } satisfies ThreadCall);
  });
}

/** Threads are kept, with the modules that they have loaded. */
function threadOf(heapMb: number): Worker {
  if (thread?.heapMb === heapMb) return thread.worker;
  void thread?.worker.terminate();
  const resourceLimits = { maxOldGenerationSizeMb: heapMb };
  thread = { worker: new Worker(programPath("sandbox/thread"), { resourceLimits }), heapMb };
  return thread.worker;
}

function watch(limits: Limits, counters: Int32Array, refuse: (reason: string) => void): NodeJS.Timeout {
  let [seen, quietMs, totalMs, last] = [0, 0, 0, performance.now()];
  return setInterval(() => {
    const now = performance.now();
    const passed = Math.min(now - last, longestLookMs);
    last = now;
    const progress = Atomics.load(counters, 0);
    quietMs = progress === seen ? quietMs + passed : 0;
    seen = progress;
    // Time counts from when the modules are loaded: on a busy machine that takes longer than many a call.
    if (progress > 0) totalMs += passed;
    if (quietMs > (progress > 0 ? limits.stalledMs : startMs))
      refuse(`nothing happened for ${Math.round(quietMs / 100) / 10} s`);
    else if (totalMs > limits.totalMs) refuse(`it takes longer than ${limits.totalMs / 1000} s`);
    else if (residentMb() > limits.memoryMb) refuse(`it takes more than ${limits.memoryMb} MB of memory`);
  }, watchMs);
}

function residentMb(): number {
  return process.memoryUsage.rss() / 2 ** 20;
}

function heapReason({ heapMb }: Limits): string {
  return `its objects take more than ${heapMb} MB of memory`;
}

function refusal(blame: Blame, reason: string, line: number): Outcome {
  const where = line > 0 ? ` after line ${line}` : "";
  return failedOf(blame, `${blame.doing} was given up${where}: ${reason}.`);
}
