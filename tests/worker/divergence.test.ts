/** A run that diverges, from the store to its outcome: as a worker takes it, with the engine in this process. */
import { basename, dirname } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { runFineTune } from "../../engine/train/run.ts";
import { type Hyperparameters, hyperparametersSchema, settingsOf } from "../../schema/hyperparameters.ts";
import type { FineTune } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { divergedMessage } from "../../worker/jobs/divergence.ts";
import { fineTuneHandler } from "../../worker/jobs/fine-tune.ts";
import { claimed, directly, lapse, newInput } from "../store/fixtures.ts";
import { ofTests } from "../support/trained.ts";
import { randomModel, scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

/** So fast that the loss of 5 grows tenfold within some 30 steps. */
const wild: Partial<Hyperparameters> = { learningRate: 0.3, steps: 200, batchSize: 16, seed: 1 };

const tinyModel = () =>
  randomModel("F32", { num_hidden_layers: 1, ffn_dim: 16, hidden_size: 8, word_embed_proj_dim: 8 });

async function newRun(modelPath: string, settings: Partial<Hyperparameters>) {
  const lines = Array.from({ length: 16 }, (_, row) => {
    const ids = Array.from({ length: 4 }, (_, at) => 3 + ((7 * row + 5 * at) % 60));
    return JSON.stringify({ input_ids: ids, labels: ids.map((id, at) => (at < 2 ? -100 : id)) });
  });
  const rows = Buffer.from(`${lines.join("\n")}\n`);
  const { sha256 } = await store.blobs.put(Readable.from([rows]));
  const dataset = await store.datasets.create({ name: "tokens", sha256, bytes: rows.length, rows: lines.length });
  const hash = await baseHash(await openModelFolder(modelPath));
  const size = { parameters: 1_000, bytes: 4_000, contextLength: 24 };
  const base = await store.baseModels.register({
    name: basename(modelPath),
    hash,
    family: "opt",
    dtype: "F32",
    ...size,
  });
  const { fineTune } = await store.fineTunes.create({
    ...(await newInput(store)),
    baseModelId: base.id,
    datasetId: dataset.id,
    validationDatasetId: dataset.id,
    testDatasetId: dataset.id,
    labelWords: [],
    hyperparameters: hyperparametersSchema.parse({ ...wild, ...settings }),
  });
  return fineTune;
}

/** Works as a worker would, and dies after `messages` messages of the engine. Returns what the engine said. */
async function work(modelPath: string, messages = Infinity): Promise<string[]> {
  const job = await claimed(store);
  const weightsDir = await scratch();
  const context = {
    store,
    job,
    weightsDir,
    deviceNote: "plain",
    stop: () => {},
    ...ofTests(store, dirname(modelPath)),
  };
  const running = await fineTuneHandler.start(context);
  const { request } = running;
  if (request.kind !== "FINE_TUNE") throw new Error("a fine-tune trains");
  const said: string[] = [];
  for await (const message of runFineTune(request, createPlainDevice(), () => false)) {
    if (message.type === "failed" || said.length >= messages) break;
    said.push(message.type);
    await running.take(message);
  }
  running.close();
  if (messages < Infinity) await lapse(fixture.url, job);
  return said;
}

async function wentBackFrom(id: string): Promise<FineTune | undefined> {
  return (await store.fineTunes.list({ limit: 50 })).find((run) => run.wentBackFrom === id);
}

async function eventsOf(id: string) {
  return store.fineTunes.events(id, { after: 0, limit: 100 });
}

test("a loss of steps that counts as the highest is said to be that or more", () => {
  const start = { value: 0.69, firstStep: 1, lastStep: 1 };
  const now = { value: 1e4, firstStep: 5, lastStep: 20 };
  expect(divergedMessage({ measure: "training loss", start, best: start, now })).toBe(
    "The run diverged: the training loss rose from 0.69 (step 1) at the start to 10000 or more (steps 5 to 20).",
  );
  expect(divergedMessage({ measure: "validation loss", start, best: start, now: { ...now, value: 2e4 } })).toContain(
    "to 20000 (steps 5 to 20)",
  );
});

describe("a run that diverges", () => {
  test("ends as FAILED with what was seen and what to do; what it measured and its best checkpoint stay", async () => {
    const modelPath = await tinyModel();
    const run = await newRun(modelPath, { evaluateEvery: 10 });
    await work(modelPath);
    const ended = await store.fineTunes.get(run.id);
    expect(ended).toMatchObject({ status: "FAILED", errorCode: "DIVERGED", errorIssues: [] });
    expect(ended?.errorMessage).toMatch(
      /^The run diverged: the training loss rose from [\d.]+ \(step 1\) at the start to [\d.]+ \(steps \d+ to \d+\)\. /u,
    );
    expect(ended?.errorMessage).toContain(
      "learning rate 0.1, a third of 0.3, or train fewer steps; docs/LEARNING_RATE.md",
    );
    expect(ended?.stepsDone).toBeLessThanOrEqual(64);
    expect((await eventsOf(run.id)).at(-1)).toMatchObject({ type: "FAILED", message: ended?.errorMessage });
    const [checkpoint] = await store.checkpoints.list(run.id, { limit: 1 });
    expect(checkpoint).toMatchObject({ step: ended?.stepsDone, entries: ended?.entries });
    // The best was the start, where the test rows were measured.
    const tests = (await store.fineTunes.evaluations(run.id)).filter(({ kind }) => kind === "TEST");
    expect(tests.map(({ step }) => step)).toEqual([0]);
  });

  test("goes on where that was chosen, tells it once, and says so at the end", async () => {
    const modelPath = await tinyModel();
    const run = await newRun(modelPath, { whenDiverged: "GO_ON", steps: 80, evaluateEvery: 10 });
    const said = await work(modelPath, 60);
    expect(said).toContain("diverged");
    await work(modelPath);
    expect(await store.fineTunes.get(run.id)).toMatchObject({ status: "SUCCEEDED", stepsDone: 80, errorCode: null });
    const events = (await eventsOf(run.id)).slice(-10);
    expect(events.filter(({ type }) => type === "DIVERGED")).toMatchObject([
      { message: expect.stringContaining("The run diverged: ") as string },
    ]);
    expect(events.at(-1)).toMatchObject({ message: "Finished after 80 steps, but it had diverged." });
    expect(events.map(({ type }) => type)).not.toContain("HARDLY_MOVED");
  });

  test("goes back where that was chosen: another run takes its steps from the best checkpoint, at a third of the rate", async () => {
    const modelPath = await tinyModel();
    const run = await newRun(modelPath, { whenDiverged: "GO_BACK", steps: 100, warmupSteps: 3, maxSeconds: 100 });
    // A worker that dies changes nothing.
    await work(modelPath, 12);
    // As if its evaluations had been slow.
    await directly(fixture.url, (sql) => sql`update evaluations set seconds = 10 where fine_tune_id = ${run.id}`);
    const slow = await store.fineTunes.trainedSeconds(run.id);
    const runs: FineTune[] = [];
    for (let next: FineTune | undefined = run; next; next = await wentBackFrom(next.id)) {
      // 0.3 and 0.1 diverge; the third need not be trained.
      await (runs.length < 2 ? work(modelPath) : store.fineTunes.cancel(next.id));
      runs.push((await store.fineTunes.get(next.id)) ?? next);
      if (runs.at(-1)?.status !== "FAILED") break;
    }
    expect(runs[0]).toMatchObject({ errorCode: "DIVERGED", lateSettings: { whenDiverged: "GO_BACK" } });
    for (const [index, later] of runs.slice(1).entries()) {
      const before = runs[index];
      if (!before) throw new Error("there is one before");
      expect(later).toMatchObject({ name: "run", lateSettings: { whenDiverged: "GO_BACK" }, fromCheckpointId: null });
      // It has the time that is left, and the one after it no more.
      expect(settingsOf(later).maxSeconds).toBeLessThanOrEqual(Math.ceil(100 - slow));
      expect(settingsOf(later).maxSeconds).toBeGreaterThan(50);
      expect(later.hyperparameters).toEqual({
        ...before.hyperparameters,
        learningRate: Number((Number(before.hyperparameters.learningRate) / 3).toPrecision(2)),
      });
      const goesOn = `The run "run" (${later.id}) goes on from its start, with learning rate ${later.hyperparameters.learningRate}.`;
      expect(before.errorMessage).toMatch(/^The run diverged: the training loss rose from .*\. The run "run" \(/u);
      expect(before.errorMessage?.endsWith(goesOn)).toBe(true);
      const told = (events: Awaited<ReturnType<typeof eventsOf>>) =>
        events.filter(({ type }) => type === "WENT_BACK").map(({ message }) => message);
      expect(told(await eventsOf(before.id))).toContain(goesOn);
      expect(told(await eventsOf(later.id))[0]).toBe(`The run "run" (${before.id}) diverged. ${goesOn}`);
    }
    expect(runs.map(({ status }) => status)).toEqual(["FAILED", "FAILED", "CANCELLED"]);
  });

  test("goes back to a checkpoint from its warm-up with a warm-up anew, within the steps that are left", async () => {
    const modelPath = await tinyModel();
    const settings = { ...wild, whenDiverged: "GO_BACK", steps: 100, warmupSteps: 96, evaluateEvery: 2 } as const;
    const run = await newRun(modelPath, settings);
    await work(modelPath);
    const next = await wentBackFrom(run.id);
    if (!next) throw new Error(`the run goes back: ${JSON.stringify(await store.fineTunes.get(run.id))}`);
    await store.fineTunes.cancel(next.id);
    const best = await store.checkpoints.get(next.fromCheckpointId ?? "");
    expect(best?.step).toBeGreaterThan(0);
    const { step = NaN } = best ?? {};
    expect(step).toBeLessThan(96);
    expect(settingsOf(next)).toEqual({
      ...settingsOf(run),
      learningRate: 0.1,
      steps: 100 - step,
      warmupSteps: Math.min(96, 100 - step),
    });
    expect(next.firstStep).toBe(step);
  });

  test("decides the same when its worker dies anywhere before, and another one continues", async () => {
    const modelPath = await tinyModel();
    const whole = await newRun(modelPath, { evaluateEvery: 10 });
    const said = await work(modelPath);
    const outcome = async (id: string) => {
      const { status, errorMessage, stepsDone, chain } = (await store.fineTunes.get(id)) ?? {};
      return { status, errorMessage, stepsDone, chain };
    };
    // After the first steps; between the last step and the verdict; before the end.
    const told = said.indexOf("diverged");
    for (const messages of [12, told, said.length - 1]) {
      const run = await newRun(modelPath, { evaluateEvery: 10 });
      await work(modelPath, messages);
      await work(modelPath);
      expect([messages, await outcome(run.id)]).toEqual([messages, await outcome(whole.id)]);
    }
  });
});
