/** Runs that go on from a checkpoint of another, as the worker makes them. */
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { encodeEntries, encodeHeader } from "../../schema/step-log.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import { scratch } from "../support/models.ts";
import { device, messagesOf, modelPath, ofType, run } from "./run.ts";

test("a continuation is what the longer run would have been", async () => {
  const settings = { learningRate: 1e-4, seed: 3, estimates: 2 };
  const long = await run({ ...settings, steps: 40 });
  const first = await run({ ...settings, steps: 25 });
  const fork = { headerBytes: encodeHeader(first.header), firstStep: 25 };
  const more = await run({ ...settings, steps: 15 }, { fork, entries: first.entries, stepsDone: 0 });
  expect([...first.entries, ...more.entries]).toStrictEqual(long.entries);
  expect(more.header).toStrictEqual(first.header);
  expect(more.checkpoint).toStrictEqual({ ...long.checkpoint, step: 15 });
  expect(more.evaluations[0]).toStrictEqual({ ...first.evaluations.at(-1), step: 0 });
  expect(ofType(more.messages, "note")).toMatchObject([{ event: "FORKED" }]);
  // Cut off in its midst, it goes on as it would have.
  const entries = [...first.entries, ...more.entries.slice(0, 8)];
  const again = await run({ ...settings, steps: 15 }, { fork, entries, stepsDone: 4, evaluated: more.evaluations });
  expect(again.entries).toStrictEqual(more.entries.slice(8));
  expect(again.checkpoint).toStrictEqual(more.checkpoint);
});

test("a fork of an adapter, with settings and a seed of its own, rebuilds from one log", async () => {
  const lora: Partial<Hyperparameters> = { method: "LORA", loraTargets: ["fc1"], learningRate: 1e-3 };
  const parent = await run({ ...lora, steps: 8, seed: 1 });
  const entries = parent.entries.slice(0, 5);
  const fork = { headerBytes: encodeHeader(parent.header), firstStep: 0 };
  const settings = { ...lora, steps: 6, seed: 2, weightDecay: 0.1, epsilon: 2e-2 };
  const child = await run(settings, { fork, entries, stepsDone: 0 });
  expect(child.entries.map(({ seed }) => seed)).toStrictEqual([5n, 6n, 7n, 8n, 9n, 10n].map((k) => (1n << 32n) + k));
  expect(child.checkpoint).toMatchObject({ entries: 11, step: 6 });

  const folder = await scratch();
  const log = encodeEntries(parent.header, [...entries, ...child.entries]);
  const { digest } = child.checkpoint ?? { digest: "" };
  const rebuilt = {
    kind: "MATERIALISE",
    modelPath,
    hashesDir: join(folder, "hashes"),
    log,
    digest,
    weightsDir: folder,
  } as const;
  expect((await runMaterialise(rebuilt, device).next()).value).toMatchObject({ type: "materialised" });
});

test("AUTO measures a fork at the weights that it starts from", async () => {
  const parent = await run({ learningRate: 1e-3, steps: 12, seed: 1 }, { validationPath: null });
  const fork = { headerBytes: encodeHeader(parent.header), firstStep: 0 };
  const settings: Partial<Hyperparameters> = { learningRate: "AUTO", steps: 1, seed: 2 };
  const child = await run(settings, { fork, entries: parent.entries, stepsDone: 0, validationPath: null });
  const atBase = await run({ ...settings, seed: 1 }, { validationPath: null });
  expect(child.pickedRate).toBeGreaterThan(0);
  expect(child.pickedRate).not.toBe(atBase.pickedRate);
});

test("a fork that would train something else is refused", async () => {
  const parent = await run({ tensors: ["fc1.weight"], learningRate: 1e-4, steps: 2 });
  const fork = { headerBytes: encodeHeader(parent.header), firstStep: 0 };
  const changes = { fork, entries: parent.entries, stepsDone: 0 };
  await expect(messagesOf({ tensors: ["fc2.weight"], learningRate: 1e-4, steps: 2 }, changes)).rejects.toMatchObject({
    code: "INVALID_STATE",
  });
});
