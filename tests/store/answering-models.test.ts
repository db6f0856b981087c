/** The names under which models answer: each that can, once, in one statement. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { BestSoFar } from "../../schema/best-evaluation.ts";
import { type BestMetric, hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { ListedModel, Store } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chainAfter, chainStart, headerBytes, newInput, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const keyOf = (model: ListedModel) => ("name" in model ? model.name : model.checkpointId);
const keys = async () => (await store.models.list({ limit: 1_000 })).map(keyOf);

interface Scores {
  readonly loss: number;
  readonly accuracy: number | null;
  readonly f1: number | null;
  readonly exactMatch: number | null;
}

/** A run with an evaluation and a checkpoint after each step; the ids of its checkpoints. */
async function runWith(scores: readonly Scores[], bestMetric: BestMetric = "AUTO", changes: object = {}) {
  const input = await newInput(store);
  const hyperparameters = hyperparametersSchema.parse({ ...input.hyperparameters, bestMetric, answerTokens: 4 });
  await store.fineTunes.create({ ...input, hyperparameters, ...changes });
  const job = await claimAny(store, "w");
  if (!job) throw new Error("There is a job.");
  await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  const ids: string[] = [];
  for (const [index, measured] of scores.entries()) {
    const entries = index + 1;
    await append(store, job, index, 1);
    await store.recordEvaluation(job, { entries, step: entries, rows: 3, ...measured });
    const place = { entries, step: entries, chain: chainAfter(entries), weightsDigest: sha256("weights") };
    ids.push((await store.recordCheckpoint(job, place)).id);
  }
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return ids;
}

const plain = { accuracy: null, f1: null, exactMatch: null };

test("aliases, bases that write, and the best and the last checkpoint of each run, the latest first; in pages", async () => {
  const ids = await runWith([3, 1, 2].map((loss) => ({ loss, ...plain })));
  const [only] = await runWith([{ loss: 1, ...plain }]);
  await runWith([]);
  const size = { parameters: 4, bytes: 16, contextLength: 32, dtype: "F32" };
  const mask = await store.baseModels.register({ name: "mask", hash: sha256("m"), family: "roberta", ...size });
  await runWith([{ loss: 1, ...plain }], "AUTO", { baseModelId: mask.id });
  await store.aliases.set("support", { baseModelId: mask.id, checkpointId: null });
  await store.aliases.set("best", { baseModelId: (await newInput(store)).baseModelId, checkpointId: null });
  const all = ["best", "tiny", only, ids[2], ids[1]];
  expect(await keys()).toEqual(all);
  const paged: (string | undefined)[] = [];
  for (;;) {
    const last = paged.at(-1);
    const after = last === undefined ? undefined : paged.length > 2 ? { checkpointId: last } : { name: last };
    const page = await store.models.list({ after, limit: 1 });
    if (page.length === 0) break;
    paged.push(...page.map(keyOf));
  }
  expect(paged).toEqual(all);
  expect(await store.models.list({ after: { checkpointId: "x" }, limit: 9 })).toEqual([]);
  const rest = await store.models.list({ after: { checkpointId: ids[0] ?? "" }, limit: 9 });
  expect(rest).toEqual([]);
  await store.aliases.remove("support");
  await store.aliases.remove("best");
});

test("the best is that of early stopping, whatever the metric, with equal and infinite losses", async () => {
  let state = 1;
  const draw = (values: readonly number[]) => {
    state = (state * 48_271) % 2_147_483_647;
    return values[state % values.length] ?? 0;
  };
  for (const metric of ["AUTO", "LOSS", "ACCURACY", "F1", "EXACT_MATCH"] as const) {
    for (const has of [
      { f1: 1, accuracy: 1 },
      { f1: 0, accuracy: 1 },
      { f1: 0, accuracy: 0 },
    ]) {
      const scores = Array.from({ length: 5 }, () => ({
        loss: draw([0.5, 1, 2, Number.NaN, Number.POSITIVE_INFINITY]),
        accuracy: has.accuracy ? draw([0, 0.5, 1]) : null,
        f1: has.f1 ? draw([0, 0.5]) : null,
        exactMatch: has.f1 ? draw([0, 0.5, 1]) : null,
      }));
      const ids = await runWith(scores, metric);
      const best = new BestSoFar(metric);
      for (const [index, one] of scores.entries()) best.add({ entries: index + 1, step: index + 1, ...one });
      const wanted = new Set([ids.at(-1), ids[(best.best?.step ?? 0) - 1]]);
      const listed = new Set((await keys()).filter((key) => ids.includes(key)));
      expect({ metric, scores, listed }).toEqual({ metric, scores, listed: wanted });
    }
  }
});
