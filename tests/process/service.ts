/** A service of real processes over a database of its own, with a tiny random model and rows of tokens. */
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { randomModel, scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import type { Running } from "../support/processes.ts";
import { startSteplog } from "../support/processes.ts";

export interface TestService {
  readonly folder: string;
  readonly modelPath: string;
  readonly env: Readonly<Record<string, string>>;
  /** All that it has started, the dead ones too. */
  readonly started: readonly Running[];
  startServer(
    port?: number,
    changes?: Readonly<Record<string, string>>,
  ): Promise<{ running: Running; url: string; client: SteplogClient }>;
  startWorker(changes?: Readonly<Record<string, string>>): Promise<Running>;
}

/**
 * @param givenUrl of a database; one of its own when left out
 * @param more variables of all its processes
 */
export async function testService(
  givenUrl?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<TestService> {
  const folder = await scratch();
  const databaseUrl = givenUrl ?? (await ownDatabase());
  const modelPath = join(folder, "models", "tiny");
  await mkdir(join(folder, "models"));
  await cp(await randomModel(), modelPath, { recursive: true });
  const usual = { DATABASE_URL: databaseUrl, STEPLOG_DATA: folder, STEPLOG_DEVICE: "plain", STEPLOG_LOG_LEVEL: "warn" };
  const env = { ...usual, ...more };
  const started: Running[] = [];
  const start = (args: readonly string[], changes: Readonly<Record<string, string>>) => {
    const running = startSteplog(args, { ...env, ...changes });
    started.push(running);
    return running;
  };
  return {
    folder,
    modelPath,
    env,
    started,
    async startServer(port = 0, changes = {}) {
      const running = start(["server", "--port", String(port)], changes);
      const { url } = await running.ready;
      return { running, url: String(url), client: new SteplogClient({ url: String(url) }) };
    },
    async startWorker(changes = {}) {
      const running = start(["worker"], changes);
      await running.ready;
      return running;
    },
  };
}

async function ownDatabase(): Promise<string> {
  const database = await testDatabase();
  onTestFinished(() => database.drop());
  return database.url;
}

interface RunChanges {
  readonly baseModel?: string;
  readonly keepWeights?: boolean;
  readonly batchSize?: number;
  readonly evaluateEvery?: number;
  readonly checkpointEvery?: number;
}

const rowCount = 20;

/** Creates a run of `steps` steps whose batches are large enough that it lasts some seconds; its id. */
export async function createRun(
  service: TestService,
  client: SteplogClient,
  steps: number,
  { baseModel = "tiny", keepWeights = true, ...settings }: RunChanges = {},
): Promise<string> {
  const path = join(service.folder, "rows.jsonl");
  const rows = Array.from({ length: rowCount }, (_, row) => {
    const ids = Array.from({ length: 8 }, (__, i) => (row * 7 + i * 11) % 64);
    return JSON.stringify({ input_ids: ids, labels: ids.map((id, i) => (i < 4 ? -100 : id)) });
  });
  await writeFile(path, rows.join("\n"));
  const { id } = await client.createDataset({ name: "rows", path });
  const fineTune = await client.createFineTune({
    name: "process test",
    baseModel,
    dataset: id,
    validationDataset: id,
    keepWeights,
    hyperparameters: { steps, batchSize: 16, learningRate: 1e-4, weightDecay: 0.01, seed: 11, ...settings },
  });
  return fineTune.id;
}

/** Base models of all workers. */
export async function modelsOf(client: SteplogClient): Promise<string[]> {
  interface Workers {
    readonly workers: readonly { readonly models: readonly { readonly name: string }[] }[];
  }
  const { workers } = await client.query<Workers>("{ workers { models { name } } }");
  return workers.flatMap(({ models }) => models.map(({ name }) => name));
}

/** What a question costs a service, others' tests pay for: it is not asked as often as a value of this process. */
const pausesMs = { value: 50, question: 250 };

/** Of a pause no more counts, however long it became. */
const longestPauseMs = 1_000;

/**
 * Waits until `condition` holds, asking again after a pause. Pauses are counted, not the time: what was suspended, as this
 * process may be too, has done nothing meanwhile.
 *
 * @param progress what rises while nothing is stuck; with it, the patience begins anew
 * @throws after `patienceMs`
 */
export async function until(
  what: string,
  patienceMs: number,
  condition: () => Promise<boolean> | boolean,
  progress: () => number = () => 0,
): Promise<number> {
  const started = performance.now();
  let [waitedMs, reached] = [0, progress()];
  for (;;) {
    const asked = performance.now();
    const answer = condition();
    if (await answer) return performance.now() - started;
    if (waitedMs > patienceMs) throw new Error(`${what}: not within ${patienceMs} ms`);
    await delay(answer instanceof Promise ? pausesMs.question : pausesMs.value);
    waitedMs += Math.min(performance.now() - asked, longestPauseMs);
    if (progress() > reached) [waitedMs, reached] = [0, progress()];
  }
}
