/** The worker's side of the engine thread: start it, read its messages, watch it, stop it or kill it. */
import { basename } from "node:path";
import { Worker } from "node:worker_threads";
import { type CallMarks, blamedCall, callMarks, runningCall } from "../engine/thread/foreign.ts";
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
  /** Ends the thread now, unless the request is done and the thread spare. */
  end(): Promise<void>;
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
  /** Where the thread comes from, and goes once the request is done; a thread of its own when left out. */
  readonly spare?: SpareThread | null;
}

/** Threads of a worker that train, or rebuild weights, beside requests. */
export const trainerPlaces = { job: 0, rebuild: 1 } as const;

export function startEngine(
  request: EngineRequest,
  device: ThreadDevice,
  { patience = usualPatience, turns = null, spare = null }: EngineOptions = {},
): EngineRun {
  const thread = spare?.take() ?? startThread(device, turns);
  const send = (message: ControlMessage) => thread.send(message);
  const blamed = (reason: string) => blamedCall(basename(request.modelPath), reason);
  const answers = new Answers(() => send({ type: "taken" }));
  const { marks } = thread;
  thread.listener = {
    message: (message) => answers.add(message),
    ended: (reason) => answers.end(lacksMemory(reason) && runningCall(marks) !== null ? blamed(needsMemory) : reason),
  };
  send({ type: "request", request });
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
    async end() {
      clearInterval(watch);
      if (spare && answers.isDone) spare.keep(thread);
      else await thread.end();
      if (turns) leaveTurns(turns);
    },
  };
}

interface EngineThread {
  readonly marks: CallMarks;
  listener: {
    message(message: EngineMessage): void;
    /** By an error, or `exit`. */
    ended(reason: unknown): void;
  };
  send(message: ControlMessage): void;
  end(): Promise<unknown>;
}

const nobody = { message() {}, ended() {} };

function startThread(device: ThreadDevice, turns: TrainerPlace | null): EngineThread {
  const marks = callMarks();
  const workerData: EngineThreadData = { device, marks, turns };
  const worker = new Worker(programPath("engine/thread/engine-thread"), { workerData });
  const thread: EngineThread = {
    marks,
    listener: nobody,
    send: (message) => worker.postMessage(message),
    end: () => worker.terminate(),
  };
  worker.on("message", (message: EngineMessage) => thread.listener.message(message));
  worker.on("error", (error) => thread.listener.ended(error));
  worker.on("exit", () => thread.listener.ended("exit"));
  return thread;
}

/**
 * The thread of a job that is done, for the next one of the same device and place: it has loaded and compiled its code. It has
 * no weights, and is ended when no job follows.
 */
export class SpareThread {
  #kept: EngineThread | null = null;

  take(): EngineThread | null {
    const kept = this.#kept;
    this.#kept = null;
    return kept;
  }

  /** If it ends while it waits, another is started. */
  keep(thread: EngineThread): void {
    this.#kept = thread;
    thread.listener = { ...nobody, ended: () => (this.#kept = null) };
  }

  async end(): Promise<void> {
    const kept = this.take();
    if (!kept) return;
    kept.listener = nobody;
    await kept.end();
  }
}

/** What the thread says, until its last message or its end. */
class Answers {
  readonly #queue: EngineMessage[] = [];
  readonly #taken: () => void;
  #ended: Error | "exit" | null = null;
  #wake = () => {};
  #isDone = false;

  constructor(taken: () => void) {
    this.#taken = taken;
  }

  /** Whether it said that the request is done; it has nothing more to say then. */
  get isDone(): boolean {
    return this.#isDone;
  }

  add(message: EngineMessage): void {
    this.#isDone ||= message.type === "done";
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
