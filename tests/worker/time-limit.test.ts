/** A run whose time (maxSeconds) is over ends as after its last step. Real engines. */
import { expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { messagesOf, ofType } from "./run.ts";
import { trainingService, when } from "./service.ts";

const settings = { steps: 400, learningRate: 1e-4, batchSize: 2, seed: 3 } as const;

test("the time over, it evaluates, makes a checkpoint, says so and is done", async () => {
  const messages = await messagesOf({ ...settings, maxSeconds: 60 }, { trainedSeconds: 60 });
  const words = "Stopped after 60 seconds of training (maxSeconds), with 1 of 400 steps done.";
  expect(messages.map((one) => ("step" in one ? [one.type, one.step] : [one.type])).slice(1)).toEqual([
    ["evaluation", 0],
    // One step at least.
    ["step", 1],
    ["evaluation", 1],
    ["checkpoint", 1],
    ["note"],
    ["done"],
  ]);
  expect(ofType(messages, "note")).toEqual([{ type: "note", event: "TIME_LIMIT", message: words }]);
});

test("everything that it measures has its seconds, and nothing falls between", async () => {
  let began: number | null = null;
  const messages = await messagesOf({ ...settings, steps: 20, evaluateEvery: 5, checkpointEvery: 10 }, {}, (last) => {
    if (last?.type === "began") began ??= performance.now();
    return false;
  });
  const whole = (performance.now() - (began ?? expect.unreachable("it began"))) / 1000;
  const timed = messages.flatMap((one) => ("seconds" in one ? [one.seconds] : []));
  expect(timed).toHaveLength(messages.filter(({ type }) => !["began", "note", "done"].includes(type)).length);
  const sum = timed.reduce((total, seconds) => total + seconds, 0);
  expect(sum / whole).toBeCloseTo(1, 1);
});

test("the time goes on after a pause, and does not while it waits", { timeout: 60_000 }, async () => {
  // The pause is asked for with the first steps, and seen well before the time is over, also by a busy machine.
  const maxSeconds = 4;
  let id = "";
  let pauses = 1;
  const { store, create } = await trainingService({
    storeOf: (one: Store) => ({
      ...one,
      async appendSteps(job, batch) {
        if (pauses-- > 0) await one.fineTunes.pause(id);
        return one.appendSteps(job, batch);
      },
    }),
  });
  id = await create({ ...settings, steps: 100_000, maxSeconds });
  await when(store, id, ({ status }) => status === "PAUSED");
  const before = await store.fineTunes.trainedSeconds(id);
  expect(before).toBeLessThan(maxSeconds);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(await store.fineTunes.trainedSeconds(id)).toBe(before);
  await store.fineTunes.resume(id);
  const run = await when(store, id, ({ status }) => status === "SUCCEEDED");
  const [last] = await store.checkpoints.list(id, { limit: 1 });
  expect(last).toMatchObject({ step: run.stepsDone, chain: (await store.fineTunes.get(id))?.chain });
  const events = await store.fineTunes.events(id, { after: 0, limit: 100 });
  expect(events.map(({ type }) => type).slice(-2)).toEqual(["TIME_LIMIT", "SUCCEEDED"]);
  const trained = await store.fineTunes.trainedSeconds(id);
  expect(trained).toBeGreaterThanOrEqual(maxSeconds);
  // What came before the pause counts.
  expect(trained - before).toBeLessThan(maxSeconds);
});
