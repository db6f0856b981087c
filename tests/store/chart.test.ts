/** Charts of long runs read blocks of steps, and say the same as the steps do. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, directly, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const inDatabase = <Result>(work: Parameters<typeof directly<Result>>[1]) => directly(fixture.url, work);

/** Typed, which vitest leaves it without. */
const closeTo = (value: number) => expect.closeTo(value, 12) as number;

/** What the fixture's losses, 1 / step, and gradients, -step, are from one step to another. */
function merged(from: number, to: number) {
  const losses = Array.from({ length: to - from + 1 }, (_, index) => 1 / (from + index));
  const loss = losses.reduce((sum, one) => sum + one, 0) / losses.length;
  const squares = losses.reduce((sum, _, index) => sum + (from + index) ** 2, 0) / losses.length;
  return {
    step: to,
    loss: closeTo(loss),
    lossMin: 1 / to,
    lossMax: 1 / from,
    projectedGradient: closeTo(Math.sqrt(squares)),
    learningRate: 1e-6,
    seconds: closeTo(0.01),
    count: losses.length,
  };
}

async function trained(steps: number) {
  const { run, job } = await newTraining(store);
  for (let first = 0; first < steps; first += 50) await append(store, job, first, Math.min(50, steps - first));
  return { run, job };
}

async function blocksOf(id: string): Promise<number[]> {
  const rows = await inDatabase(
    (sql) => sql<{ block: number }[]>`select block from step_blocks where fine_tune_id = ${id} order by block`,
  );
  return rows.map(({ block }) => block);
}

test("a chart with several blocks a point reads blocks, and only those steps that are in none", async () => {
  const { run } = await trained(300);
  expect(await blocksOf(run.id)).toEqual([0, 1, 2, 3]);
  const whole = [merged(1, 128), merged(129, 300)];
  expect(await store.fineTunes.chart(run.id, { points: 2 })).toEqual(whole);
  await inDatabase((sql) => sql`delete from step_metrics where fine_tune_id = ${run.id} and step <= 256`);
  expect(await store.fineTunes.chart(run.id, { points: 2 })).toEqual(whole);
});

test("a part of the steps reads the blocks that are within it", async () => {
  const { run } = await trained(400);
  const whole = [merged(10, 192), merged(193, 390)];
  expect(await store.fineTunes.chart(run.id, { points: 2, from: 10, to: 390 })).toEqual(whole);
  await inDatabase((sql) => sql`delete from step_metrics where fine_tune_id = ${run.id} and step > 64 and step <= 384`);
  expect(await store.fineTunes.chart(run.id, { points: 2, from: 10, to: 390 })).toEqual(whole);
  expect(await store.fineTunes.chart(run.id, { points: 2, from: 500 })).toEqual([]);
});

test("a chart with fewer steps a point reads steps", async () => {
  const { run } = await trained(300);
  await inDatabase((sql) => sql`update step_blocks set loss_sum = 0, loss_max = 9`);
  const points = await store.fineTunes.chart(run.id, { points: 3 });
  expect(points).toEqual([merged(1, 100), merged(101, 200), merged(201, 300)]);
});

test("blocks that a worker of the release before did not make come with the next append, and are not missed until then", async () => {
  const { run, job } = await trained(200);
  await inDatabase((sql) => sql`delete from step_blocks where fine_tune_id = ${run.id} and block > 0`);
  const whole = [merged(1, 200)];
  expect(await store.fineTunes.chart(run.id, { points: 1 })).toEqual(whole);
  await append(store, job, 200, 60);
  expect(await blocksOf(run.id)).toEqual([0, 1, 2, 3]);
  expect(await store.fineTunes.chart(run.id, { points: 1 })).toEqual([merged(1, 260)]);
});

test("steps without a finite loss count, and have none", async () => {
  const { run } = await trained(128);
  await inDatabase((sql) => sql`update step_metrics set loss = null where fine_tune_id = ${run.id}`);
  await inDatabase(
    (sql) => sql`update step_blocks set finite = 0, loss_sum = null, loss_min = null, loss_max = null
      where fine_tune_id = ${run.id}`,
  );
  const none = { ...merged(1, 128), loss: null, lossMin: null, lossMax: null };
  expect(await store.fineTunes.chart(run.id, { points: 1 })).toEqual([none]);
});
