/** What the page is measured on: a gateway of its own with a run of many steps that goes on, and a list of many runs. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { openStore, type Store } from "../../store/store.ts";
import { startGateway } from "../gateway.ts";
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
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "steplog-bench-page-")));
  await mkdir(folder, { recursive: true });
  // Nothing is lost with it that cannot be made again.
  const database = await startEmbeddedPostgres({ dataDir: folder, durable: false });
  const store = await openStore({ databaseUrl: database.url, storageDir: join(folder, "storage") });
  try {
    await store.migrate();
    await manyRuns(store, options.runs - 1 - (await store.fineTunes.count({})));
    const run = await longRun(store, options.steps);
    const gateway = await startGateway(database.url, folder);
    try {
      return await work(sceneOf(gateway.url, run, options.updates));
    } finally {
      await gateway.stop();
      await run.finish();
    }
  } finally {
    await store.close();
    await database.stop();
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
  }
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
