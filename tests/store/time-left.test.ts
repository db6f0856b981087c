/** How long a run still takes: from what was measured of it, of runs like it, and of those before it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Hyperparameters, hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { type Measured, type Position, paceOf, secondsLeft } from "../../store/runs/pace.ts";
import type { NewFineTune, Store } from "../../store/store.ts";
import { everything } from "../support/claims.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { batchOf, chainStart, claimed, directly, headerBytes, newInput } from "./fixtures.ts";

const settingsOf = (changes: Partial<Hyperparameters> = {}) => hyperparametersSchema.parse({ steps: 100, ...changes });

describe("the pace of a run", () => {
  const steps = (seconds: readonly number[], first = 41) =>
    seconds.map((each, index) => ({ step: first + index, seconds: each }));
  const measured: Measured = { steps: steps([1, 1, 1, 1]), evaluations: [], checkpoints: [] };
  const at = (stepsDone: number, more: Partial<Position> = {}): Position => ({
    settings: settingsOf(),
    stepsDone,
    validates: false,
    tests: false,
    evaluated: [],
    trainedSeconds: 0,
    ...more,
  });
  const left = (what: Measured, position: Position, waited = 0) => {
    const pace = paceOf(what, position.settings);
    return pace && secondsLeft(position, pace, waited);
  };
  const evaluation = (step: number, seconds: number | null, kind: "VALIDATION" | "TEST" = "VALIDATION") => ({
    kind,
    step,
    seconds,
  });

  test("is that of its steps, without the first one, and without what no step takes", () => {
    expect(left(measured, at(40))).toBe(60);
    expect(left({ ...measured, steps: steps([9, 1, 1, 1], 1) }, at(4))).toBe(96);
    // The machine slept for an hour.
    const slept = left({ ...measured, steps: steps([...Array<number>(19).fill(1), 3_600]) }, at(60));
    expect(slept).toBeGreaterThan(40);
    expect(slept).toBeLessThan(60);
    expect(left({ ...measured, steps: [] }, at(0))).toBeNull();
  });

  test("is told by estimate, where steps have more and more of them", () => {
    const settings = settingsOf({ estimates: 1, estimatesAtEnd: 3, steps: 101 });
    // Of the 51 steps left, the first has 2 estimates and the last 3.
    const position = at(50, { settings });
    expect(left({ ...measured, steps: [{ step: 1, seconds: 1 }] }, position)).toBeCloseTo(51 * 2.5, -1);
  });

  test("has the evaluations and checkpoints that are still to come, and those at the end", () => {
    const settings = settingsOf({ evaluateEvery: 10, checkpointEvery: 50 });
    const evaluations = [evaluation(0, 9), evaluation(10, 3), evaluation(20, 3), evaluation(30, 3), evaluation(40, 3)];
    const tests = [evaluation(0, 5, "TEST")];
    const checkpoints = [10, 30].map((step) => ({ step, seconds: 2 }));
    const run = { ...measured, evaluations: [...evaluations, ...tests], checkpoints };
    const position = at(40, { settings, validates: true, tests: true, evaluated: run.evaluations });
    // 60 steps; after 50, 60, 70, 80, 90 an evaluation, every second with a checkpoint; one after 50; then the end.
    expect(left(run, position)).toBe(60 + 5 * 3 + 2.5 * 2 + 2 + (3 + 2 + 5));
    // The evaluation after 40 is being made, since a second.
    const before = run.evaluations.filter(({ step }) => step < 40);
    expect(left(run, { ...position, evaluated: before }, 1)).toBe(92 + 3 - 1);
    // It takes longer than usual: it will be over soon.
    expect(left(run, { ...position, evaluated: before }, 50)).toBe(92);
  });

  test("is not known where the cost of what comes is not", () => {
    const old = { ...measured, evaluations: [evaluation(0, null)] };
    expect(left(old, at(40, { validates: true, evaluated: old.evaluations }))).toBeNull();
    expect(left(measured, at(40, { tests: true }))).toBeNull();
  });

  test("ends with the time of the run", () => {
    const settings = settingsOf({ maxSeconds: 50 });
    expect(left(measured, at(40, { settings, trainedSeconds: 30 }))).toBe(20);
    expect(left(measured, at(40, { settings, trainedSeconds: 60 }))).toBe(0);
  });
});

describe("in a store", () => {
  let fixture: TestStore;
  let store: Store;
  /** Of all runs: they have the same model and rows. */
  let input: NewFineTune;
  beforeAll(async () => {
    fixture = await testStore();
    ({ store } = fixture);
    input = await newInput(store);
  });
  afterAll(() => fixture.drop());

  const create = async (changes: Partial<Hyperparameters> = {}) => {
    return (await store.fineTunes.create({ ...input, hyperparameters: settingsOf(changes) })).fineTune.id;
  };
  /** A worker trains the next run for some steps, each of a second. */
  async function train(count: number, worker: string) {
    const job = await claimed(store, worker);
    await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
    const { metrics, ...batch } = batchOf(0, count);
    await store.appendSteps(job, { ...batch, metrics: metrics.map((one) => ({ ...one, seconds: 1 })) });
    return job;
  }

  test("a run that waits takes what those before it take, and then what one like it took", async () => {
    const first = await create();
    expect(await store.fineTunes.timeLeft(first)).toBeNull();
    const job = await train(40, "w");
    const own = async () => (await store.fineTunes.timeLeft(first)) ?? NaN;
    // Up to a step's second may have gone by.
    expect(Math.abs((await own()) - 59.5)).toBeLessThanOrEqual(0.5);
    await store.workers.report({
      id: crypto.randomUUID(),
      name: "w",
      device: "plain",
      version: "1",
      ...(await everything(store)),
    });
    const [second, third] = [await create({ seed: 5, steps: 200 }), await create({ seed: 6 })];
    const [now, next, last] = [
      await own(),
      await store.fineTunes.timeLeft(second),
      await store.fineTunes.timeLeft(third),
    ];
    // Reading the model is counted as it was then: next to nothing.
    expect(Math.abs((next ?? NaN) - (now + 200))).toBeLessThan(2);
    expect(Math.abs((last ?? NaN) - (now + 300))).toBeLessThan(2);
    // A batch of another size costs something else, and nothing is known of what comes after it.
    const other = await create({ batchSize: 3 });
    const after = await create();
    expect(await store.fineTunes.timeLeft(other)).toBeNull();
    expect(await store.fineTunes.timeLeft(after)).toBeNull();
    await store.fineTunes.cancel(other);
    // A second worker takes the second run at once.
    await store.workers.report({
      id: crypto.randomUUID(),
      name: "v",
      device: "plain",
      version: "1",
      ...(await everything(store)),
    });
    expect(Math.abs(((await store.fineTunes.timeLeft(second)) ?? NaN) - 200)).toBeLessThan(2);
    expect(Math.abs(((await store.fineTunes.timeLeft(third)) ?? NaN) - ((await own()) + 100))).toBeLessThan(2);
    await store.fineTunes.pause(second);
    expect(await store.fineTunes.timeLeft(second)).toBeNull();
    expect(await store.fineTunes.queuePosition(second)).toBeNull();
    await store.finishFineTune(job, { status: "SUCCEEDED" });
    expect(await store.fineTunes.timeLeft(first)).toBeNull();
  });

  test("a pause, and a worker that died, are in no pace", async () => {
    await directly(fixture.url, (sql) => sql`delete from jobs`);
    const id = await create();
    await train(40, "w");
    await directly(fixture.url, async (sql) => {
      await sql`update step_metrics set at = at - interval '1 day' where fine_tune_id = ${id} and step < 20`;
      await sql`update jobs set lease_expires_at = now() - interval '1 minute' where subject = ${id}`;
    });
    expect(Math.abs(((await store.fineTunes.timeLeft(id)) ?? NaN) - 60)).toBeLessThan(1);
  });
});
