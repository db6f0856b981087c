/** Charts of long runs read blocks of steps, and say the same as the steps do. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, chartOf, directly, newTraining } from "./fixtures.ts";

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

async function blocksOf(id: string): Promise<Record<number, number>> {
  const rows = await inDatabase(
    (sql) => sql<{ size: number; blocks: number }[]>`select size, count(*)::int as blocks from merged_steps
      where fine_tune_id = ${id} and block < (select count(*) from merged_steps as all_of
        where all_of.fine_tune_id = merged_steps.fine_tune_id and all_of.size = merged_steps.size)
      group by size order by size`,
  );
  return Object.fromEntries(rows.map(({ size, blocks }) => [size, blocks]));
}

/** Without the steps from one to another, of which a chart must need none. */
const withoutSteps = (id: string, from: number, to: number) =>
  inDatabase((sql) => sql`delete from step_metrics where fine_tune_id = ${id} and step between ${from} and ${to}`);

test("steps are merged into blocks, and these into larger ones", async () => {
  const { run } = await trained(1_100);
  expect(await blocksOf(run.id)).toEqual({ 8: 137, 64: 17, 512: 2 });
});

test("a chart with a block a point reads blocks, and only those steps that are in none", async () => {
  const { run } = await trained(300);
  const whole = [merged(1, 128), merged(129, 300)];
  await withoutSteps(run.id, 1, 296);
  expect(await chartOf(store, run.id, { points: 2 })).toEqual(whole);
  await inDatabase((sql) => sql`delete from merged_steps where fine_tune_id = ${run.id} and size = 8 and block < 32`);
  expect(await chartOf(store, run.id, { points: 2 })).toEqual(whole);
});

test("a point has the learning rate of its last step, whether that is its greatest or not", async () => {
  const { run } = await trained(300);
  await inDatabase((sql) => sql`update step_metrics set learning_rate = step % 7 where fine_tune_id = ${run.id}`);
  await inDatabase(
    (sql) => sql`update merged_steps set learning_rate = (block + 1) * size % 7 where fine_tune_id = ${run.id}`,
  );
  for (const points of [1, 2, 30, 100, 300]) {
    const chart = await chartOf(store, run.id, { points });
    expect(chart.map(({ learningRate }) => learningRate)).toEqual(chart.map(({ step }) => step % 7));
  }
});

test("a part of the steps reads the blocks that are within it, at its ends smaller ones", async () => {
  const { run } = await trained(400);
  const whole = [merged(10, 192), merged(193, 390)];
  await withoutSteps(run.id, 17, 384);
  expect(await chartOf(store, run.id, { points: 2, from: 10, to: 390 })).toEqual(whole);
  await inDatabase(
    (sql) => sql`delete from merged_steps where fine_tune_id = ${run.id} and size = 8 and block between 8 and 47`,
  );
  expect(await chartOf(store, run.id, { points: 2, from: 10, to: 390 })).toEqual(whole);
  expect(await chartOf(store, run.id, { points: 2, from: 500 })).toEqual([]);
});

test.each([
  [1, 1_100, 1],
  [1, 1_100, 2],
  [1, 1_100, 17],
  [3, 1_099, 100],
  [65, 576, 5],
  [500, 1_100, 1],
])("steps %i to %i in %i points are those steps, each once", async (from, to, points) => {
  const { run } = await trained(1_100);
  const read = await chartOf(store, run.id, { points, from, to });
  expect(read).toHaveLength(points);
  const starts = [from - 1, ...read.map(({ step }) => step)];
  expect(read).toEqual(read.map(({ step }, at) => merged((starts[at] ?? 0) + 1, step)));
  expect(read.at(-1)?.step).toBe(to);
});

test("a chart with fewer steps a point reads steps", async () => {
  const { run } = await trained(300);
  await inDatabase((sql) => sql`update merged_steps set loss_sum = 0, loss_max = 9`);
  const points = await chartOf(store, run.id, { points: 50 });
  expect(points).toEqual(Array.from({ length: 50 }, (_, at) => merged(6 * at + 1, 6 * at + 6)));
});

test("blocks that a worker of an earlier release did not make come with later appends, and are not missed until then", async () => {
  const { run, job } = await trained(200);
  await inDatabase((sql) => sql`delete from merged_steps where fine_tune_id = ${run.id} and (size < 64 or block > 0)`);
  const whole = [merged(1, 200)];
  expect(await chartOf(store, run.id, { points: 1 })).toEqual(whole);
  await append(store, job, 200, 60);
  expect(await blocksOf(run.id)).toEqual({ 8: 32, 64: 4 });
  expect(await chartOf(store, run.id, { points: 1 })).toEqual([merged(1, 260)]);
});

test("steps without a finite loss count, and have none", async () => {
  const { run } = await trained(128);
  await inDatabase((sql) => sql`update step_metrics set loss = null where fine_tune_id = ${run.id}`);
  await inDatabase(
    (sql) => sql`update merged_steps set finite = 0, loss_sum = null, loss_min = null, loss_max = null
      where fine_tune_id = ${run.id}`,
  );
  const none = { ...merged(1, 128), loss: null, lossMin: null, lossMax: null };
  expect(await chartOf(store, run.id, { points: 1 })).toEqual([none]);
});

test("charts of many runs are read at once, each by its own steps and points; of a run that is not there, none", async () => {
  const [short, long] = [(await trained(9)).run.id, (await trained(1_100)).run.id];
  const read = await store.fineTunes.charts([
    { id: long, points: 2 },
    { id: "4b7d8d0a-0000-4000-8000-000000000000", points: 2 },
    { id: short, points: 2 },
    { id: "no id", points: 2 },
    { id: long, points: 1, from: 1_001, to: 1_100 },
  ]);
  expect(read).toEqual([
    await chartOf(store, long, { points: 2 }),
    [],
    [merged(1, 5), merged(6, 9)],
    [],
    [merged(1_001, 1_100)],
  ]);
  expect(read[0]).toHaveLength(2);
});
