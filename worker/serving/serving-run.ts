/** The worker's side of the serving thread: start it, hear it, watch it, end it. */
import { Worker } from "node:worker_threads";
import { blamedCall, callMarks, runningCall } from "../../engine/thread/foreign.ts";
import type { FromServing, ServingThreadData, ToServing } from "../../engine/thread/serving-messages.ts";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";
import { lacksMemory, needsMemory, watchCalls } from "../watch-calls.ts";

export interface ServingListener {
  message(message: FromServing): void;
  /** At most once, and not after `kill`. */
  died(error: SteplogError): void;
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
  let over = false;
  const end = async () => {
    over = true;
    clearInterval(watch);
    await thread.terminate();
  };
  const die = (error: SteplogError) => {
    if (over) return;
    void end();
    listener.died(error);
  };
  const blame = (reason: string) => die(blamedCall("a model", reason));
  const watch = watchCalls(marks, (ms) => {
    if (ms > callMs) blame(`it takes longer than ${callMs / 1000} s`);
  });
  thread.on("message", (message: FromServing) => {
    if (!over) listener.message(message);
  });
  thread.on("error", (error) => {
    if (lacksMemory(error) && runningCall(marks) !== null) blame(needsMemory);
    else die(new SteplogError("INTERNAL", "The serving thread crashed.", [], { cause: error }));
  });
  thread.on("exit", () => die(new SteplogError("INTERNAL", "The serving thread ended.")));
  return { send: (message) => thread.postMessage(message), kill: end };
};
