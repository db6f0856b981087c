/** Models that are ready to answer: what they share, in which order they go, and what they answer after a change on disk. */
import { readFileSync } from "node:fs";
import { cp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openDevice } from "../../engine/devices/choose.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Device } from "../../engine/devices/device.ts";
import { generate } from "../../engine/generation/generate.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { replayedWeights } from "../../engine/replay/replayed-weights.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { ServedModel } from "../../engine/thread/serving-messages.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { scratch } from "../support/models.ts";
import { devicesHere, isSkipped } from "../support/open-devices.ts";
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

const [listedDevices, noNative] = await Promise.all([devicesHere(), isSkipped("native")]);

/** A device that counts its live weights, and maps weights from files. */
function mappingDevice() {
  const count = { weights: 0, mapped: 0 };
  const mapping: Device = {
    ...device,
    createWeight: (...args) => ((count.weights += 1), device.createWeight(...args)),
    mapWeight(spec, { path, offset, bytes }) {
      count.mapped += 1;
      return mapping.createWeight(spec, readFileSync(path).subarray(offset, offset + bytes));
    },
    freeWeight: (weight) => ((count.weights -= 1), device.freeWeight(weight)),
  };
  return { mapping, count };
}

/** The folder of a checkpoint as others rebuild it. */
async function rebuiltFolder({ modelPath, checkpoint }: ServedModel): Promise<string> {
  const out = join(await scratch(), "weights");
  const log = decodeStepLog(checkpoint?.log ?? new Uint8Array());
  const base = await openModelFolder(modelPath);
  await reconstruct({ base, log, out, device, verify: false, replace: false });
  return out;
}

const inFolder = (model: ServedModel, folder: string | null, isStored = false) => ({
  ...model,
  checkpoint: model.checkpoint && { ...model.checkpoint, folder, isStored },
});

describe("all weights of a checkpoint", () => {
  test.each(listedDevices)("are rebuilt in the memory of $name as they were trained, in pieces", async (listed) => {
    if (!("open" in listed)) return;
    const opened = await listed.open(1);
    onTestFinished(() => opened.dispose());
    const base = await served();
    const { model, loaded } = await checkpointOf(base, "full", "p");
    const log = decodeStepLog(model.checkpoint?.log ?? new Uint8Array());
    const folder = await openModelFolder(base.modelPath);
    for (const pieceBytes of [100, 2 ** 20]) {
      let parts = 0;
      const beforePart = async () => void (parts += 1);
      const { weights, digest } = await replayedWeights(folder, log, opened, { beforePart, pieceBytes });
      expect(digest).toBe(model.checkpoint?.digest);
      expect(weights.size).toBe(folder.architecture.tensors.length);
      expect(parts).toBeGreaterThanOrEqual(pieceBytes === 100 ? 500 : weights.size);
      for (const weight of weights.values()) {
        expect(await opened.readWeight(weight)).toEqual(await loaded.read(weight.name));
      }
    }
    const failing = () => Promise.reject(new Error("stopped"));
    await expect(replayedWeights(folder, log, opened, { beforePart: failing })).rejects.toThrow("stopped");
  });

  test("answer from memory, are written as a rebuild has them, and mapped from there", async () => {
    const base = await served();
    const { model, loaded } = await checkpointOf(base, "full", "f");
    const { mapping, count } = mappingDevice();
    const server = new Server(mapping);
    const ids = ["first", "second"];
    for (const id of ids) await server.add({ id, model, prompt, task });
    await server.run();
    const expected = await generate(loaded, prompt, 5, choose());
    for (const id of ids) expect(server.answer(id).choices[0]?.tokens).toStrictEqual(expected);
    const { base: hash } = base;
    expect(server.told).toContainEqual({ type: "loading", id: "second", isReplay: true });
    expect(server.told.filter(({ type }) => type === "replayed")).toEqual([
      { type: "replayed", base: hash, chain: "f" },
    ]);
    const { tensors } = (await openModelFolder(base.modelPath)).architecture;
    expect(count.weights).toBe(tensors.length);

    const folder = await scratch();
    expect(await server.keep(model, folder)).toBeNull();
    const rebuilt = await rebuiltFolder(model);
    const names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    expect((await readdir(folder)).toSorted()).toEqual(names);
    for (const name of names) expect(await readFile(join(folder, name))).toEqual(await readFile(join(rebuilt, name)));

    // One copy of them, of the folder from here on.
    const before = count.mapped;
    await server.kept(model, folder);
    expect(count).toEqual({ weights: tensors.length, mapped: before + tensors.length });
    await rm(base.modelPath, { recursive: true });
    const { tokens, logprobs } = await server.alone({ model, prompt, task: generating({ maxTokens: 5, logprobs: 0 }) });
    expect(tokens).toStrictEqual(expected);
    const others = new Server(device);
    const fromFolder = inFolder(model, rebuilt);
    const mapped = await others.alone({ model: fromFolder, prompt, task: generating({ maxTokens: 5, logprobs: 0 }) });
    expect(mapped).toMatchObject({ tokens, logprobs });
    expect(others.told).not.toContainEqual(expect.objectContaining({ type: "replayed" }));
    await rm(folder, { recursive: true });
    expect(await server.keep(model, folder)).toBe("UNAVAILABLE");
    server.end();
    expect(count.weights).toBe(0);
  });

  test.skipIf(noNative)("have the same bits in memory and in a folder (native)", async () => {
    const { model } = await checkpointOf(await served(), "full", "n");
    const native = await openDevice("native", { threads: 1, devicesDir: null });
    onTestFinished(() => native.dispose());
    const server = new Server(native);
    const asked = { prompt, task: generating({ maxTokens: 8, logprobs: 0 }) };
    const inMemory = await server.alone({ model, ...asked });
    const folder = await scratch();
    expect(await server.keep(model, folder)).toBeNull();
    await server.kept(model, folder);
    const mapped = await server.alone({ model, ...asked });
    const rebuilt = await new Server(native).alone({ model: inFolder(model, await rebuiltFolder(model)), ...asked });
    expect([mapped, inMemory]).toStrictEqual([rebuilt, rebuilt]);
    expect(rebuilt.logprobs).toHaveLength(8);
  });

  test("stay until they are kept or cannot be, and are offered again a minute later", async () => {
    const { model } = await checkpointOf(await served(), "full", "s");
    let minutes = 0;
    const server = new Server(device, { now: () => minutes * 60_000 });
    await server.alone({ model, prompt, task });
    const offers = () => server.told.filter(({ type }) => type === "replayed").length;
    await server.budget(0);
    expect(server.warm).toHaveLength(1);
    await server.budget(2 ** 30);
    await server.kept(model, null);
    await server.alone({ model, prompt, task });
    expect(offers()).toBe(1);
    minutes = 1;
    await server.alone({ model, prompt, task });
    expect(offers()).toBe(2);
    await server.kept(model, null);
    await server.budget(0);
    expect(server.warm).toHaveLength(0);
  });

  test("are not written where files of the base have changed since, nor into a folder that is not empty", async () => {
    const base = await served();
    const { model } = await checkpointOf(base, "full", "b");
    const server = new Server(device);
    await server.alone({ model, prompt, task });
    const folder = await scratch();
    await writeFile(join(folder, "model.safetensors"), "");
    expect(await server.keep(model, folder)).not.toBeNull();
    await utimes(join(base.modelPath, "model.safetensors"), new Date(0), new Date(0));
    expect(await server.keep(model, await scratch())).toBe("BASE_MISMATCH");
  });

  test("are a folder first where they are stored, or memory has no room for them", async () => {
    const base = await served();
    const { model, loaded } = await checkpointOf(base, "full", "m");
    const { mapping, count } = mappingDevice();
    const server = new Server(mapping);
    await server.add({ id: "stored", model: inFolder(model, null, true), prompt, task });
    await server.run();
    expect(server.told).toEqual([{ type: "rebuild", id: "stored" }]);
    const bytes = loaded.trainable.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    await server.budget(bytes - 1);
    await server.add({ id: "large", model, prompt, task });
    await server.run();
    expect(server.told).toContainEqual({ type: "rebuild", id: "large" });
    expect(count).toEqual({ weights: 0, mapped: 0 });
    const folder = await rebuiltFolder(model);
    const { tokens } = await server.alone({ model: inFolder(model, folder), prompt, task });
    expect(tokens).toStrictEqual(await generate(loaded, prompt, 5, choose()));
    // Whatever is idle goes for one that fits then.
    await server.budget(bytes);
    const other = await checkpointOf(base, "full", "n");
    await server.alone({ model: other.model, prompt, task });
    expect(server.warm.map(({ chain }) => chain)).toEqual(["n"]);
  });

  test("answer nothing if their digest is another one", async () => {
    const { model } = await checkpointOf(await served(), "full", "w");
    const { mapping, count } = mappingDevice();
    const server = new Server(mapping);
    const wrong = { ...model, checkpoint: model.checkpoint && { ...model.checkpoint, digest: "0".repeat(64) } };
    await server.add({ id: "wrong", model: wrong, prompt, task });
    await server.run();
    expect(server.answer("wrong")).toMatchObject({ code: "INTERNAL", choices: [] });
    expect(count.weights).toBe(0);
  });
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
