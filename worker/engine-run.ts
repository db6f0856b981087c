/** The worker's side of the engine thread: start it, read its messages, watch it, stop it or kill it. */
import { basename } from "node:path";
import { Worker } from "node:worker_threads";
import { blamedCall, callMarks, runningCall } from "../engine/thread/foreign.ts";
import { lacksMemory, needsMemory, watchCalls } from "./watch-calls.ts";
import type {
  ControlMessage,
  EngineMessage,
  EngineRequest,
  EngineThreadData,
  ThreadDevice,
} from "../engine/thread/messages.ts";
import type { TrainerPlace } from "../engine/thread/turns.ts";
import { leaveTurns } from "../engine/thread/turns.ts";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";

export interface EngineRun {
  /** The thread's messages in order. A message counts as handled when the next one is pulled. */
  readonly messages: AsyncIterable<EngineMessage>;
  /** Asks it to stop: within a batch, whatever it does. */
  stop(): void;
  /** Has a fine-tune stop after its next step, for another to have its turn. */
  leave(): void;
  /** Ends the thread now. */
  kill(): Promise<void>;
}

/** How long one call of a model's tokenizer or chat template may take. Reading a tokenizer of 100 MB is one call. */
export interface Patience {
  readonly callMs: number;
  /** The same once the thread was asked to stop. */
  readonly stoppingMs: number;
}

const usualPatience: Patience = { callMs: 60_000, stoppingMs: 3_000 };

export interface EngineOptions {
  readonly patience?: Patience;
  /** Where requests are answered between its passes. */
  readonly turns?: TrainerPlace | null;
}

/** Threads of a worker that train, or rebuild weights, beside requests. */
export const trainerPlaces = { job: 0, rebuild: 1 } as const;

export function startEngine(
  request: EngineRequest,
  device: ThreadDevice,
  { patience = usualPatience, turns = null }: EngineOptions = {},
): EngineRun {
  const marks = callMarks();
  const workerData: EngineThreadData = { request, device, marks, turns };
  const thread = new Worker(programPath("engine/thread/engine-thread"), { workerData });
  const send = (message: ControlMessage) => thread.postMessage(message);
  const blamed = (reason: string) => blamedCall(basename(request.modelPath), reason);
  const answers = new Answers(thread, () => send({ type: "taken" }));
  thread.on("error", (error) =>
    answers.end(lacksMemory(error) && runningCall(marks) !== null ? blamed(needsMemory) : error),
  );
  thread.on("exit", () => turns && leaveTurns(turns));
  let stopping = false;
  const watch = watchCalls(marks, (ms) => {
    if (stopping && ms > patience.stoppingMs) answers.add({ type: "stopped" });
    else if (ms > patience.callMs) answers.end(blamed(`it takes longer than ${Math.floor(ms / 100) / 10} s`));
  });
  return {
    messages: answers.messages(),
    stop() {
      stopping = true;
      send({ type: "stop" });
    },
    leave: () => send({ type: "leave" }),
    async kill() {
      clearInterval(watch);
      await thread.terminate();
    },
  };
}

/** What the thread says, until its last message or its end. */
class Answers {
  readonly #queue: EngineMessage[] = [];
  readonly #taken: () => void;
  #ended: Error | "exit" | null = null;
  #wake = () => {};

  constructor(thread: Worker, taken: () => void) {
    this.#taken = taken;
    thread.on("message", (message: EngineMessage) => this.add(message));
    thread.on("exit", () => this.end("exit"));
  }

  add(message: EngineMessage): void {
    this.#queue.push(message);
    this.#wake();
  }

  end(reason: unknown): void {
    this.#ended ??= reason instanceof Error || reason === "exit" ? reason : new Error(String(reason));
    this.#wake();
  }

  async *messages(): AsyncGenerator<EngineMessage> {
    for (;;) {
      const message = this.#queue.shift();
      if (message) {
        yield message;
        this.#taken();
        if (isLast(message)) return;
      } else if (this.#ended) {
        throw crashed(this.#ended);
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }
}

function isLast(message: EngineMessage): boolean {
  return ["done", "materialised", "measured", "evaluated", "stopped", "failed"].includes(message.type);
}

function crashed(reason: Error | "exit"): SteplogError {
  if (reason instanceof SteplogError) return reason;
  const why = reason === "exit" ? "ended without an answer" : `crashed: ${reason.message}`;
  return new SteplogError("INTERNAL", `The engine thread ${why}.`, [], { cause: reason });
}
