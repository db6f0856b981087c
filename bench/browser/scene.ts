/** What the page is measured on: a gateway of its own with a run of many steps that goes on, and a list of many runs. */
import { setTimeout as delay } from "node:timers/promises";
import type { Store } from "../../store/store.ts";
import { type BenchStore, withBenchStore } from "../bench-store.ts";
import { createRun, FakeRun } from "../subscribers/fake-worker.ts";

export interface SceneOptions {
  /** Of the run whose page is measured. */
  readonly steps: number;
  /** In the list. */
  readonly runs: number;
  /** Commits a second of the run's further steps, one step each. */
  readonly updates: number;
  /** Where the list is kept for another time, since making it takes minutes; without, nothing is kept. */
  readonly folder?: string;
}

export interface Scene {
  readonly url: string;
  readonly runUrl: string;
  /** Stores steps of the run while the work goes on; how many. */
  whileTraining<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly updates: number }>;
}

/** One run of so many has trained a little; the others were cancelled before. */
const trainedOneOf = 10;

export async function withScene<T>(options: SceneOptions, work: (scene: Scene) => Promise<T>): Promise<T> {
  const inStore = async ({ store, startGateway }: BenchStore) => {
    await manyRuns(store, options.runs - 1 - (await store.fineTunes.count({})));
    const run = await longRun(store, options.steps);
    const { url } = await startGateway();
    try {
      return await work(sceneOf(url, run, options.updates));
    } finally {
      await run.finish();
    }
  };
  // Nothing is lost with it that cannot be made again.
  return withBenchStore("page", inStore, { folder: options.folder, durable: false });
}

function sceneOf(url: string, run: FakeRun, updates: number): Scene {
  return {
    url,
    runUrl: `${url}/fine-tunes/${encodeURIComponent(run.globalId)}`,
    whileTraining: (work) => whileTraining(run, updates, work),
  };
}

async function manyRuns(store: Store, count: number): Promise<void> {
  for (let index = 0; index < count; index += trainedOneOf) {
    const name = (at: number) => `run ${index + at + 1} of many`;
    const run = await FakeRun.begin(store, 20, name(0));
    await run.append(20);
    await run.finish();
    const others = Math.min(trainedOneOf, count - index) - 1;
    const cancelled = async (at: number) => store.fineTunes.cancel(await createRun(store, 20, name(at)));
    await Promise.all(Array.from({ length: others }, (_, at) => cancelled(at + 1)));
  }
}

async function longRun(store: Store, steps: number): Promise<FakeRun> {
  const run = await FakeRun.begin(store, 2 * steps, "a long run");
  await run.appendAll(steps);
  return run;
}

async function whileTraining<T>(run: FakeRun, updates: number, work: () => Promise<T>) {
  const over = new AbortController();
  const before = run.committed.length;
  const training = train(run, updates, over.signal);
  try {
    const result = await work();
    return { result, updates: run.committed.length - before };
  } finally {
    over.abort();
    await training;
  }
}

/** At even times, whatever an append takes. */
async function train(run: FakeRun, updates: number, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  for (let update = 0; !signal.aborted; update++) {
    const wait = began + (update * 1_000) / updates - performance.now();
    await delay(Math.max(0, wait), undefined, { signal }).catch(() => {});
    if (!signal.aborted) await run.append(1);
  }
}
