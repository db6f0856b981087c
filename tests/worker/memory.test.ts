/** The memory of a run's worker: when it is read, and what is stored. Real engines. */
import { expect, test } from "vitest";
import { runFineTune } from "../../engine/train/run.ts";
import { residentMemory } from "../../engine/thread/resident-memory.ts";
import type { EngineMessage } from "../../engine/thread/messages.ts";
import { device, ofType, requestOf, type Changes } from "./run.ts";
import { trainingService, when } from "./service.ts";

const settings = { steps: 4, learningRate: 1e-4, batchSize: 2, seed: 3 } as const;

/** With a gauge that counts how often it was read. */
async function readingsOf(changes: Changes = {}) {
  let reads = 0;
  let restarts = 0;
  const gauge = {
    restart: () => void restarts++,
    read: () => ({ residentBytes: 100 + reads, peakBytes: 1_000 * restarts + reads++ }),
  };
  const messages: EngineMessage[] = [];
  const request = await requestOf(settings, changes);
  for await (const message of runFineTune(request, device, () => false, { gauge })) messages.push(message);
  return { messages, readings: ofType(messages, "memory") };
}

test("it is read after the forward passes of the first evaluation, and after the last step, from a new start each time", async () => {
  const { messages, readings } = await readingsOf();
  expect(readings).toEqual([
    { type: "memory", kind: "FORWARD_PASSES", step: 0, residentBytes: 100, peakBytes: 1_000 },
    { type: "memory", kind: "STEPS", step: 4, residentBytes: 101, peakBytes: 2_001 },
  ]);
  const types = messages.map(({ type }) => type);
  expect(types.indexOf("memory")).toBe(types.indexOf("evaluation") + 1);
});

test("without validation rows there are no forward passes alone to read", async () => {
  const { readings } = await readingsOf({ validationPath: null });
  expect(readings.map(({ kind, step }) => [kind, step])).toEqual([["STEPS", 4]]);
});

test("what is read has what this process holds, and its peak what it held since", () => {
  residentMemory.restart();
  const before = residentMemory.read();
  const megabytes = 64;
  let block: Buffer | null = Buffer.alloc(megabytes * 1e6, 1);
  const during = residentMemory.read();
  expect(during.residentBytes - before.residentBytes).toBeGreaterThan(0.8 * megabytes * 1e6);
  expect(block.length).toBe(megabytes * 1e6);
  block = null;
  if (process.platform !== "linux") return;
  expect(residentMemory.read().peakBytes).toBeGreaterThanOrEqual(during.residentBytes);
});

test("a worker stores it", { timeout: 60_000 }, async () => {
  const { store, create } = await trainingService();
  const id = await create(settings);
  await when(store, id, ({ status }) => status === "SUCCEEDED");
  const readings = await store.fineTunes.memory(id);
  expect(readings.at(-1)).toMatchObject({ kind: "STEPS", step: 4 });
  // A Node process is never smaller.
  for (const { residentBytes } of readings) expect(residentBytes).toBeGreaterThan(20e6);
});
