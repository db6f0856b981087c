/** Requests by the real path: store, worker, serving thread, weights. */
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { generate } from "../../engine/generation/generate.ts";
import { adapterOfLog } from "../../engine/model/adapters/all.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { evaluateModel } from "../../engine/train/evaluate-model.ts";
import { ModelsAtHand } from "../../models/registration.ts";
import { samplingSchema } from "../../schema/completion.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { evaluationRulesSchema } from "../../schema/model-evaluation.ts";
import { operator } from "../../schema/projects.ts";
import { Chain, encodeHeader, packScalars } from "../../schema/step-log.ts";
import type { Store } from "../../store/store.ts";
import { claimed, metricsOf, newInput } from "../store/fixtures.ts";
import { newCompletion, taskOf } from "../store/serving-fixtures.ts";
import { scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { demo, device, modelPath, requestOf, run } from "./run.ts";
import { startWorker } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
let baseModelId: string;
let hash: string;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  const folder = await openModelFolder(modelPath);
  const { family, contextLength } = folder.architecture;
  hash = await baseHash(folder);
  const size = { parameters: 1, bytes: 1, contextLength };
  ({ id: baseModelId } = await store.baseModels.register({ name: "base", hash, family, dtype: "F32", ...size }));
});
afterAll(() => fixture.drop());

const prompt = [5, 17, 60, 8];
const maxTokens = 12;
const greedy = taskOf({ maxTokens, sampling: samplingSchema.parse({ temperature: 0, seed: 1 }) });

/** What the model that a log rebuilds writes alone; the base, without one. */
async function written(log: Pick<Trained, "header" | "entries"> | null): Promise<number[]> {
  const folder = await openModelFolder(modelPath);
  const adapter = log && adapterOfLog(folder, log.header);
  const noise = log?.header.noise ?? "rademacher";
  const model = await loadModel(folder, device, noise, { precision: "float32", adapter });
  if (log) await model.replay(log.entries);
  const tokens = await generate(model, prompt, maxTokens);
  model.free();
  return tokens;
}

type Trained = Awaited<ReturnType<typeof run>>;

/** A checkpoint of a run that was trained elsewhere, and what that run measured before and after. */
async function newCheckpoint(method: Partial<Hyperparameters>, validationPath: string) {
  const settings = { ...method, steps: 2, answerTokens: 2 };
  const { header, entries, checkpoint, evaluations } = await run(settings, { validationPath });
  if (!checkpoint) throw new Error("A run ends with a checkpoint.");
  const input = await newInput(store);
  const { hyperparameters } = await requestOf(settings);
  const { fineTune } = await store.fineTunes.create({ ...input, baseModelId, hyperparameters });
  const job = await claimed(store);
  expect(job.subject).toBe(fineTune.id);
  const headerBytes = encodeHeader(header);
  const chain = Chain.start(headerBytes);
  await store.beginLog(job, { headerBytes, chain: chain.hash, device: "plain" });
  for (const entry of entries) chain.add(entry);
  const scalars = packScalars(entries.map(({ scalar }) => scalar));
  const place = { entries: entries.length, step: 2, chain: chain.hash, weightsDigest: checkpoint.digest };
  await store.appendSteps(job, {
    firstEntry: 0,
    scalars,
    decays: null,
    chainAfter: chain.hash,
    metrics: metricsOf(0, 2),
    tokens: 0,
  });
  const { id } = await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return { id, header, entries, evaluations };
}

async function answerOf(id: string) {
  const { feed, completions } = store;
  for await (const _ of feed.pieces(id, { after: 0 }));
  const row = await completions.get(id);
  if (!row) throw new Error("It is there.");
  expect(row).toMatchObject({ status: "SUCCEEDED", errorCode: null });
  return completions.choices(row);
}

test.each([
  ["FULL", 0.05],
  ["LORA", 0.5],
  ["PREFIX", 10],
] as const)(
  "a base and a checkpoint of %s answer what they write alone, and are evaluated as a run evaluates them",
  { timeout: 60_000 },
  async (method, learningRate) => {
    const rows = join(await scratch(), "rows.jsonl");
    const text = await readFile(demo("validation.jsonl"), "utf8");
    await writeFile(rows, text.split("\n").slice(0, 8).join("\n"));
    const { id: checkpointId, header, entries, evaluations } = await newCheckpoint({ method, learningRate }, rows);
    expect({ FULL: !header.lora && !header.prefix, LORA: header.lora, PREFIX: header.prefix }).toMatchObject({
      [method]: expect.toSatisfy(Boolean) as unknown,
    });
    const [base, tuned] = [await written(null), await written({ header, entries })];
    expect(tuned).not.toEqual(base);
    expect(tuned).not.toEqual(await written({ header, entries: [] }));
    const before = await usedSoFar();
    const models = new ModelsAtHand();
    models.add("base", hash);
    const { stop } = await startWorker(store, { modelsDir: dirname(modelPath), models });
    onTestFinished(stop);
    const begun = performance.now();
    const ask = async (checkpoint: string | null) =>
      (await newCompletion(store, { baseModelId, checkpointId: checkpoint, task: greedy, prompt })).id;
    const [first, second] = [await ask(null), await ask(checkpointId)];
    expect(await answerOf(first)).toMatchObject([{ tokens: base }]);
    expect(await answerOf(second)).toMatchObject([{ tokens: tuned }]);
    // Both are warm now. Requests and evaluations take turns in the machine, and nobody's numbers depend on it.
    const asked = [await ask(checkpointId), await ask(null), await ask(checkpointId)];
    const [answers, ...measured] = await Promise.all([
      Promise.all(asked.map((id) => answerOf(id))),
      evaluated(null, rows),
      evaluated(checkpointId, rows),
    ]);
    expect(answers).toMatchObject([[{ tokens: tuned }], [{ tokens: base }], [{ tokens: tuned }]]);
    expect(evaluations).toHaveLength(2);
    for (const [index, { loss, accuracy, f1, exactMatch }] of evaluations.entries()) {
      // A run with a prefix begins with one that has learned nothing, not with the bare base.
      if (index === 0 && method === "PREFIX") continue;
      expect(measured[index]).toMatchObject({ error: null, rows: 8, loss, accuracy, f1, exactMatch });
    }
    // One worker has at most the time that has passed: for requests, however many at once, and for evaluations.
    const after = await usedSoFar();
    const passed = (performance.now() - begun) / 1_000;
    for (const seconds of ["requests", "evaluations"] as const) {
      expect(after[seconds] - before[seconds]).toBeGreaterThan(0);
      expect(after[seconds] - before[seconds]).toBeLessThan(passed);
    }
    const answered = answers.length + 2;
    expect(after.tokens - before.tokens).toBeGreaterThan(answered);
    expect(after.tokens - before.tokens).toBeLessThanOrEqual(answered * maxTokens + 2 * 8 * 2);
  },
);

/** Seconds of requests and of evaluations, and tokens. */
async function usedSoFar() {
  const [used] = await store.of(operator).accounts.usage("2020-01-01", "2120-01-01");
  return {
    requests: used?.COMPLETION_SECONDS ?? 0,
    evaluations: used?.EVALUATION_SECONDS ?? 0,
    tokens: used?.TOKENS_GENERATED ?? 0,
  };
}

test("an evaluation that is stopped tells first how many tokens it has written", async () => {
  const rows = join(await scratch(), "rows.jsonl");
  const text = await readFile(demo("validation.jsonl"), "utf8");
  await writeFile(rows, text.split("\n").slice(0, 4).join("\n"));
  const request = {
    kind: "EVALUATE",
    modelPath,
    base: hash,
    hashesDir: await scratch(),
    checkpoint: null,
    datasetPath: rows,
    labelWords: [],
    calibrationPrompt: null,
    settings: evaluationRulesSchema.parse({ answerTokens: 2 }),
  } as const;
  const messages = async (stopping: () => boolean) => {
    const all: { readonly type: string; readonly tokens?: number }[] = [];
    for await (const message of evaluateModel(request, device, stopping)) all.push(message);
    return all;
  };
  // The first one hashes the base, and looks more often.
  await messages(() => false);
  let looks = 0;
  const [whole, last] = await messages(() => (looks += 1) < 0);
  expect([whole?.type, last?.type]).toEqual(["generated", "evaluated"]);
  let left = looks - 1;
  const [part, stopped] = await messages(() => (left -= 1) < 0);
  expect([part?.type, stopped?.type]).toEqual(["generated", "stopped"]);
  expect(part?.tokens).toBeGreaterThan(0);
  expect(part?.tokens).toBeLessThan(whole?.tokens ?? 0);
});

async function evaluated(checkpointId: string | null, rows: string) {
  const { sha256, bytes } = await store.blobs.put(createReadStream(rows));
  const dataset = await store.datasets.create({ name: "validation", sha256, bytes, rows: 8 });
  const settings = evaluationRulesSchema.parse({ answerTokens: 2 });
  const asked = { labelWords: [" great", " terrible"], calibrationPrompt: null, settings, idempotencyKey: null };
  const { evaluation } = await store.evaluations.create({ ...asked, baseModelId, checkpointId, datasetId: dataset.id });
  for (;;) {
    const row = await store.evaluations.get(evaluation.id);
    if (row?.finishedAt) return { ...row, error: row.errorMessage };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
