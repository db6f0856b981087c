/** Sweeps: runs that are created together, or not at all, and then are runs as any others. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import type { NewSweep, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { claimed, newInput } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

async function newSweep(change: Partial<NewSweep> = {}): Promise<NewSweep> {
  const run = await newInput(store);
  const runs = [1, 2, 3].map((seed) => ({
    ...run,
    name: `seed ${seed}`,
    hyperparameters: { ...run.hyperparameters, seed },
  }));
  return { idempotencyKey: null, name: "seeds", varied: ["seed"], runs, ...change };
}

test("all runs are queued, in their places, and know their sweep; it is read back", async () => {
  const { sweep, created } = await store.sweeps.create(await newSweep());
  expect(created).toBe(true);
  const runs = await store.sweeps.runs(sweep.id);
  expect(runs.map(({ name, sweepPlace, status }) => [name, sweepPlace, status])).toEqual(
    [1, 2, 3].map((n) => [`seed ${n}`, n, "QUEUED"]),
  );
  expect(await store.sweeps.get(sweep.id)).toEqual(sweep);
  expect(await store.sweeps.counts(sweep.id)).toEqual(new Map([["QUEUED", 3]]));
  expect(await store.sweeps.best(sweep.id)).toBeNull();
  expect((await store.sweeps.list({ limit: 1 })).map(({ id }) => id)).toEqual([sweep.id]);
  expect([await store.sweeps.get("x"), await store.sweeps.runs("x"), await store.sweeps.best("x")]).toEqual([
    null,
    [],
    null,
  ]);
  await store.sweeps.cancel(sweep.id);
});

test("a repeated request finds the first sweep, another input with its key is a CONFLICT", async () => {
  const input = await newSweep({ idempotencyKey: "again" });
  const first = await store.sweeps.create(input);
  const second = await store.sweeps.create(input);
  expect(second).toEqual({ sweep: first.sweep, created: false });
  expect(await store.sweeps.runs(first.sweep.id)).toHaveLength(3);
  const other = { ...input, runs: input.runs.slice(0, 2) };
  await expect(store.sweeps.create(other)).rejects.toMatchObject({ code: "CONFLICT" });
  expect([await store.sweeps.hasKey("again"), await store.sweeps.hasKey("never")]).toEqual([true, false]);
  await store.sweeps.cancel(first.sweep.id);
});

test("none is created if one cannot be, and a quota counts the steps of all", async () => {
  const { administration, accounts } = store.of(operator);
  const before = await store.fineTunes.count({});
  const input = await newSweep();
  const [run] = input.runs;
  if (!run) throw new Error("a sweep has runs");
  const wrong = { ...run, datasetId: crypto.randomUUID() };
  await expect(store.sweeps.create({ ...input, runs: [run, wrong] })).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { id: projectId } = await administration.createProject("small");
  const { steps } = run.hyperparameters;
  await accounts.setQuotas({ stepsAMonth: 3 * steps - 1 }, projectId);
  await expect(store.sweeps.create({ ...input, projectId })).rejects.toMatchObject({ code: "QUOTA_EXCEEDED" });
  expect(await store.fineTunes.count({})).toBe(before);
  await accounts.setQuotas({ stepsAMonth: 3 * steps }, projectId);
  const { sweep } = await store.sweeps.create({ ...input, projectId });
  await store.sweeps.cancel(sweep.id);
});

test("the best is the run with the best evaluation; cancelling leaves what has ended", async () => {
  const { sweep } = await store.sweeps.create(await newSweep());
  const scores = [0.5, 0.75];
  for (const accuracy of scores) {
    const job = await claimed(store);
    await store.recordEvaluation(job, { entries: 0, step: 0, rows: 4, loss: 1, accuracy });
    await store.finishFineTune(job, { status: "FAILED", code: "INTERNAL", message: "ended", issues: [] });
  }
  const best = await store.sweeps.best(sweep.id);
  expect(best).toMatchObject({ sweepPlace: 2, bestScore: 0.75 });
  for (let twice = 0; twice < 2; twice += 1) await store.sweeps.cancel(sweep.id);
  expect(await store.sweeps.counts(sweep.id)).toEqual(
    new Map([
      ["FAILED", 2],
      ["CANCELLED", 1],
    ]),
  );
  await expect(store.sweeps.cancel(crypto.randomUUID())).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a sweep is deleted with its runs, all or none, or without them", async () => {
  const { sweep } = await store.sweeps.create(await newSweep());
  await claimed(store);
  await expect(store.sweeps.delete(sweep.id, { runs: true, cancel: false })).rejects.toMatchObject({
    code: "INVALID_STATE",
  });
  const runs = await store.sweeps.runs(sweep.id);
  expect(runs).toHaveLength(3);
  expect(await store.sweeps.delete(sweep.id, { runs: true, cancel: true })).toBe(true);
  expect(await store.fineTunes.byIds(runs.map(({ id }) => id))).toEqual([null, null, null]);
  expect(await store.sweeps.delete(sweep.id, { runs: true, cancel: true })).toBe(false);

  const { sweep: left } = await store.sweeps.create(await newSweep());
  const [kept] = await store.sweeps.runs(left.id);
  expect(await store.sweeps.delete(left.id, { runs: false, cancel: false })).toBe(true);
  expect(await store.fineTunes.get(kept?.id ?? "")).toMatchObject({ name: "seed 1", sweepId: null });
});
