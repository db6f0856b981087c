/** The worker's side of the serving thread: start it, hear it, watch it, end it. */
import { Worker } from "node:worker_threads";
import { blamedCall, callMarks, lastCaller, runningCall } from "../../engine/thread/foreign.ts";
import type { FromServing, ServingThreadData, ToServing } from "../../engine/thread/serving-messages.ts";
import { leaveServerTurns } from "../../engine/thread/turns.ts";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";
import { lacksMemory, needsMemory, watchCalls } from "../watch-calls.ts";

export interface ServingListener {
  message(message: FromServing): void;
  /** At most once, and not after `kill`. `blamed` is the request whose text the tokenizer could not read; null for none. */
  died(fault: SteplogError, blamed: string | null): void;
}

export interface ServingRun {
  send(message: ToServing): void;
  /** Ends the thread now. */
  kill(): Promise<void>;
}

export type StartServing = (data: Omit<ServingThreadData, "marks">, listener: ServingListener) => ServingRun;

/** How long one call of a tokenizer may take. Others wait for it; reading a tokenizer of 100 MB is one call. */
const callMs = 20_000;

export const startServing: StartServing = (data, listener) => {
  const marks = callMarks();
  const workerData: ServingThreadData = { ...data, marks };
  const thread = new Worker(programPath("engine/thread/serving-thread"), { workerData });
  const numbered = new Numbered();
  let over = false;
  const end = async () => {
    over = true;
    clearInterval(watch);
    await thread.terminate();
  };
  const die = (fault: SteplogError, blamed: string | null) => {
    if (over) return;
    void end();
    listener.died(fault, blamed);
  };
  const blame = (reason: string) => die(blamedCall("the model", reason), numbered.at(lastCaller(marks)));
  const watch = watchCalls(marks, (ms) => {
    if (ms > callMs) blame(`it takes longer than ${callMs / 1000} s`);
  });
  thread.on("message", (message: FromServing) => {
    if (over) return;
    if (message.type === "ended" || message.type === "failed") numbered.forget(message.id);
    listener.message(message);
  });
  thread.on("error", (cause) => {
    if (lacksMemory(cause) && runningCall(marks) !== null) blame(needsMemory);
    else die(new SteplogError("INTERNAL", "The serving thread crashed.", [], { cause }), null);
  });
  thread.on("exit", () => data.turns && leaveServerTurns(data.turns));
  thread.on("exit", () => die(new SteplogError("INTERNAL", "The serving thread ended."), null));
  return {
    send(message) {
      if (message.type === "add") numbered.add(message.request.id);
      thread.postMessage(message);
    },
    kill: end,
  };
};

/** The thread marks calls with the number of a request: 1 for the first that was added. */
class Numbered {
  readonly #ids = new Map<number, string>();
  #count = 0;

  add(id: string): void {
    this.#count += 1;
    this.#ids.set(this.#count, id);
  }

  at(number: number): string | null {
    return this.#ids.get(number) ?? null;
  }

  forget(id: string): void {
    for (const [number, known] of this.#ids) if (known === id) this.#ids.delete(number);
  }
}
