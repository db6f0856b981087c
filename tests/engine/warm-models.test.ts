/** Models that are ready to answer: what they share, in which order they go, and what they answer after a change on disk. */
import { cp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Device } from "../../engine/devices/device.ts";
import { generate } from "../../engine/generation/generate.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { scratch } from "../support/models.ts";
import { Server, checkpointOf, generating, promptOf, served } from "./serving.harness.ts";

const device = createPlainDevice();
const prompt = promptOf(1, 20);
const task = generating({ maxTokens: 5 });
const choose = () => sampler({ temperature: 1, seed: 5 }, { prompt });

test("adapters answer as loaded ones, beside their base, whose weights they share", async () => {
  let weights = 0;
  /** Adapters in each decoding pass's low-rank terms. */
  const shared = new Set<number>();
  const counting: Device = {
    ...device,
    begin: (...args) => {
      const pass = device.begin(...args);
      const addLowRank = pass.addLowRank.bind(pass);
      pass.addLowRank = (y, x, parts) => (shared.add(parts.length), addLowRank(y, x, parts));
      return pass;
    },
    createWeight: (...args) => ((weights += 1), device.createWeight(...args)),
    freeWeight: (weight) => ((weights -= 1), device.freeWeight(weight)),
  };
  const base = await served();
  const long = generating({ maxTokens: 30 });
  const tuned = [await checkpointOf(base, "lora", "a"), await checkpointOf(base, "lora", "b", 0.5)];
  const all = [...tuned, await checkpointOf(base, "prefix", "c")];
  const server = new Server(counting);
  await server.add({ id: "base", model: base, prompt, task: long });
  for (const { model } of all) await server.add({ id: model.checkpoint?.chain ?? "", model, prompt, task: long });
  await server.run();
  const texts = ["base", "a", "b", "c"].map((id) => server.answer(id).choices[0]?.tokens);
  const bare = await generate(all[0]?.loaded.bare ?? expect.fail(), prompt, 30, choose());
  const alone = await Promise.all(all.map(({ loaded }) => generate(loaded, prompt, 30, choose())));
  expect(texts).toStrictEqual([bare, ...alone]);
  expect(new Set(texts.map(String)).size).toBeGreaterThan(2);
  expect(shared).toContain(2);
  const { architecture } = await openModelFolder(base.modelPath);
  const adapters = all.reduce((sum, { loaded }) => sum + loaded.trainable.length, 0);
  expect(weights).toBe(architecture.tensors.length + adapters);
  server.end();
  expect(weights).toBe(0);
});

test("a whole checkpoint is rebuilt by others first, and then answers", async () => {
  const base = await served();
  const { model, loaded } = await checkpointOf(base, "full", "f");
  const server = new Server(device);
  await server.add({ id: "cold", model, prompt, task });
  expect(server.told).toContainEqual({ type: "rebuild", id: "cold" });
  const { checkpoint } = model;
  const folder = join(await scratch(), "weights");
  const log = decodeStepLog(checkpoint?.log ?? new Uint8Array());
  await reconstruct({
    base: await openModelFolder(base.modelPath),
    log,
    out: folder,
    device,
    verify: false,
    replace: false,
  });
  const rebuilt = { ...model, checkpoint: checkpoint && { ...checkpoint, folder } };
  const { tokens } = await server.alone({ model: rebuilt, prompt, task });
  expect(tokens).toStrictEqual(await generate(loaded, prompt, 5, choose()));
  // Warm, it needs no folder.
  await server.add({ id: "warm", model, prompt, task });
  await server.run();
  expect(server.answer("warm").choices[0]?.tokens).toStrictEqual(tokens);
});

test.each([0, 2])("a rebuilt folder that goes before %i parts of it are loaded is asked for again", async (parts) => {
  const base = await served();
  const { model } = await checkpointOf(base, "full", "g");
  const folder = await scratch();
  await cp(base.modelPath, folder, { recursive: true });
  const rebuilt = { ...model, checkpoint: model.checkpoint && { ...model.checkpoint, folder } };
  const server = new Server(device);
  for (const id of ["one", "other"]) await server.add({ id, model: rebuilt, prompt, task });
  let left = parts;
  await server.run(() => (left -= 1) < 0);
  await rm(folder, { recursive: true });
  await server.run();
  for (const id of ["one", "other"]) {
    expect(server.told).toContainEqual({ type: "rebuild", id });
    expect(server.answer(id)).toMatchObject({ code: null, choices: [], ended: null });
  }
  // A base that is gone is not one to rebuild.
  await rm(base.modelPath, { recursive: true });
  await server.add({ id: "base", model: base, prompt, task });
  await server.run();
  expect(server.answer("base").code).toBe("NOT_FOUND");
});

test("an adapter whose digest is another one answers nothing, and its base is read again", async () => {
  const base = await served();
  const { model } = await checkpointOf(base, "lora", "w");
  const wrong = { ...model, checkpoint: model.checkpoint && { ...model.checkpoint, digest: "0".repeat(64) } };
  const server = new Server(device);
  await server.add({ id: "wrong", model: wrong, prompt, task });
  await server.run();
  expect(server.answer("wrong")).toMatchObject({ code: "INTERNAL", choices: [] });
  expect(server.warm).toStrictEqual([]);
});

test("models that nobody uses go first, the least recently used before others and checkpoints before bases", async () => {
  const [one, two] = [await served({ initializer_range: 0.3 }), await served({ initializer_range: 0.5 })];
  const tuned = (await checkpointOf(one, "lora", "t")).model;
  const server = new Server(device);
  for (const model of [tuned, two, one]) await server.alone({ model, prompt, task });
  const names = () => server.warm.map(({ base, chain }) => `${base === one.base ? "one" : "two"}${chain ?? ""}`);
  expect(names().toSorted()).toStrictEqual(["one", "onet", "two"]);
  const bytes = server.warm.reduce((sum, model) => sum + model.bytes, 0);
  await server.budget(bytes - 1);
  expect(names().toSorted()).toStrictEqual(["one", "two"]);
  await server.add({ id: "pinned", model: two, prompt, task: generating({ maxTokens: 30 }) });
  await server.budget(0);
  expect(names()).toStrictEqual(["two"]);
  await server.run();
  expect(server.answer("pinned").ended).not.toBeNull();
  expect(names()).toStrictEqual([]);
});

test("a base whose files have changed answers what it began, and nothing new", async () => {
  const base = await served();
  const server = new Server(device);
  await server.add({ id: "before", model: base, prompt, task });
  await server.run(() => server.answer("before").choices.length > 0);
  await utimes(join(base.modelPath, "model.safetensors"), new Date(0), new Date(0));
  await server.add({ id: "touched", model: base, prompt, task });
  await server.run();
  expect(server.answer("touched").choices).toStrictEqual(server.answer("before").choices);
  const file = await readFile(join(base.modelPath, "model.safetensors"));
  file.writeUInt8(file.readUInt8(file.length - 2) ^ 1, file.length - 2);
  await writeFile(join(base.modelPath, "model.safetensors"), file);
  await server.add({ id: "after", model: base, prompt, task });
  await server.run();
  expect(server.answer("after").code).toBe("BASE_MISMATCH");
});
