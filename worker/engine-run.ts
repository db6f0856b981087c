/** The worker's side of the engine thread: start it, read its messages, stop it or kill it. */
import { Worker } from "node:worker_threads";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import type { ControlMessage, EngineMessage, EngineRequest, EngineThreadData } from "../engine/thread/messages.ts";

export interface EngineRun {
  /** The thread's messages in order. A message counts as handled when the next one is pulled. */
  readonly messages: AsyncIterable<EngineMessage>;
  /** Asks it to stop: within a batch, whatever it does. */
  stop(): void;
  /** Ends the thread now. */
  kill(): Promise<void>;
}

export function startEngine(request: EngineRequest, deviceName: string, threads: number): EngineRun {
  const workerData: EngineThreadData = { request, deviceName, threads };
  const thread = new Worker(programPath("engine/thread/engine-thread"), { workerData });
  const send = (message: ControlMessage) => thread.postMessage(message);
  return {
    messages: messagesOf(thread, () => send({ type: "taken" })),
    stop: () => send({ type: "stop" }),
    kill: async () => {
      await thread.terminate();
    },
  };
}

async function* messagesOf(thread: Worker, taken: () => void): AsyncGenerator<EngineMessage> {
  const queue: EngineMessage[] = [];
  let ended: Error | "exit" | null = null;
  let wake = () => {};
  const end = (reason: Error | "exit") => {
    ended ??= reason;
    wake();
  };
  thread.on("message", (message: EngineMessage) => {
    queue.push(message);
    wake();
  });
  thread.on("error", (error) => end(error instanceof Error ? error : new Error(String(error))));
  thread.on("exit", () => end("exit"));
  for (;;) {
    const message = queue.shift();
    if (message) {
      yield message;
      taken();
      if (isLast(message)) return;
    } else if (ended) {
      throw crashed(ended);
    } else {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
}

function isLast(message: EngineMessage): boolean {
  return ["done", "materialised", "stopped", "failed"].includes(message.type);
}

function crashed(reason: Error | "exit"): SteplogError {
  const why = reason === "exit" ? "ended without an answer" : `crashed: ${reason.message}`;
  return new SteplogError("INTERNAL", `The engine thread ${why}.`, [], { cause: reason });
}
