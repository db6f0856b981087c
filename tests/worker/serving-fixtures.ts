/** Workers that answer requests: with a serving thread that the test plays, and a whole one. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { turnWords } from "../../engine/thread/turns.ts";
import type { FromServing, ServingRequest, ToServing } from "../../engine/thread/serving-messages.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import type { Piece } from "../../schema/completion.ts";
import type { Log } from "../../schema/log.ts";
import type { Store } from "../../store/store.ts";
import type { ServingSettings } from "../../worker/serving/lane.ts";
import type { ServingListener, StartServing } from "../../worker/serving/serving-run.ts";
import { runWorker } from "../../worker/worker.ts";
import { sha256 } from "../store/fixtures.ts";
import { scratch } from "../support/models.ts";
import { devicesDir, oneDevice } from "../support/open-devices.ts";

export const settings: ServingSettings = {
  device: { name: "plain", threads: 1, devicesDir: null },
  precision: "auto",
  budgetBytes: 1_000_000,
  sequences: 16,
  turns: null,
  share: 0.5,
  keptDir: join(tmpdir(), "steplog-none"),
  keptBytes: 0,
};

/** A worker with threads, weights and models of its own. */
export async function startWorker(
  store: Store,
  { modelsDir, models }: { readonly modelsDir: string; readonly models: ModelsAtHand },
): Promise<{ readonly stop: () => Promise<void> }> {
  const stop = new AbortController();
  const device = { name: oneDevice, threads: 1, devicesDir };
  const compute = { device, deviceNote: oneDevice, precisions: ["float32"] as const, memoryBytes: 2e9 };
  const log = { info() {}, warn() {}, error() {} };
  const kept = { keptDir: join(await scratch(), "serving"), keptBytes: 1e9 };
  const serving = { ...settings, device, turns: turnWords(), budgetBytes: 1e9, ...kept };
  const running = runWorker({ store, ...compute, name: "w", modelsDir, models, log, signal: stop.signal, serving });
  return {
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

export class FakeThread {
  readonly sent: ToServing[] = [];
  readonly listener: ServingListener;
  isKilled = false;

  constructor(listener: ServingListener) {
    this.listener = listener;
    this.say({ type: "ready", deviceNote: "plain", fingerprint: "fake" });
  }

  say(message: FromServing): void {
    this.listener.message(message);
  }

  /** The request of a completion, once it is here; the first one, unless it was claimed more often. */
  async request({ id }: { readonly id: string }, attempt = 0): Promise<ServingRequest> {
    const added = () => this.sent.flatMap((message) => (message.type === "add" ? [message.request] : []));
    return until(() => added().filter((request) => request.id.startsWith(id))[attempt]);
  }

  /** The last message of a kind about a checkpoint, once it is here. */
  told<Type extends "keep" | "kept">(type: Type, chain: string) {
    const isOne = (message: ToServing): message is ToServing & { type: Type } =>
      message.type === type && "chain" in message && message.chain === chain;
    return until(() => this.sent.findLast(isOne));
  }

  isCancelled({ id }: ServingRequest): boolean {
    return this.sent.some((message) => message.type === "cancel" && message.id === id);
  }

  tokens({ id }: ServingRequest, firstToken: number, text: string, changes: Partial<Piece> = {}): void {
    const tokens = Array.from(text, (letter) => letter.codePointAt(0) ?? 0);
    const piece = { choice: 0, firstToken, tokens, text, logprobs: null, finish: null, ...changes };
    this.say({ type: "piece", id, piece });
  }

  end({ id }: ServingRequest): void {
    const usage = { promptTokens: 3, cachedTokens: 0, completionTokens: 2 };
    this.say({ type: "ended", id, usage, scores: null });
  }
}

export async function until<Value>(get: () => Value | undefined | null | false): Promise<Value> {
  for (let left = 2_000; left > 0; left--) {
    const value = get();
    if (value !== undefined && value !== null && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("It did not come about.");
}

export interface RunningLane {
  readonly threads: FakeThread[];
  readonly logged: string[];
  readonly models: ModelsAtHand;
  /** The thread that was started last. */
  thread(): Promise<FakeThread>;
  stop(): Promise<void>;
}

export function startLane(store: Store, changes: Partial<ServingSettings> = {}, doesJobs = false): RunningLane {
  const stop = new AbortController();
  const threads: FakeThread[] = [];
  const logged: string[] = [];
  const models = new ModelsAtHand();
  models.add("tiny", sha256("tiny"));
  const startServing: StartServing = (_, listener) => {
    const thread = new FakeThread(listener);
    threads.push(thread);
    return {
      send: (message) => void thread.sent.push(message),
      kill: async () => void (thread.isKilled = true),
    };
  };
  const note = (fields: object, message: string) => void logged.push(`${JSON.stringify(fields)} ${message}`);
  const log: Log = { info: note, warn: note, error: note };
  const serving = { ...settings, ...changes };
  const compute = { device: settings.device, deviceNote: "plain", precisions: ["float32"] as const, memoryBytes: 2e6 };
  const rest = { name: "w", modelsDir: "", models, log, signal: stop.signal, doesJobs, startServing };
  const running = runWorker({ store, ...compute, ...rest, serving });
  return {
    threads,
    logged,
    models,
    thread: () => until(() => threads.at(-1)),
    stop: () => {
      stop.abort();
      return running;
    },
  };
}
