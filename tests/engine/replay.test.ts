/** Replay in pieces: the same bits wherever a tensor is cut, in bounded memory, with all or nothing on disk. */
import { lstat, open, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { ModelFolder } from "../../engine/model/files/folder.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { trainableTensors } from "../../engine/model/trainable.ts";
import { readOrigin, writeOrigin } from "../../engine/model/files/origin.ts";
import { writeSafetensors } from "../../engine/model/files/safetensors.ts";
import type { OutputFile } from "../../engine/model/files/shards.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { prefetch } from "../../engine/replay/pieces.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { replayedFiles, trainedFiles } from "../../engine/replay/replay.ts";
import { initialBase, sampleElements, samples, verifyWeights } from "../../engine/replay/verify.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import type { EngineMessage, MaterialiseRequest } from "../../engine/thread/messages.ts";
import { randomModel, scratch } from "../support/models.ts";
import { openDevices } from "../support/open-devices.ts";

const devices = await openDevices();

async function logOf(base: ModelFolder, noise: Noise = "normal", decay?: number): Promise<StepLog> {
  const header = {
    format: 1 as const,
    base: await baseHash(base),
    trainable: trainableTensors(base),
    noise,
    seed: 3,
    hyperparameters: {},
  };
  const scalars = [0.5, -0.25, 2 ** -9];
  const entries = scalars.map((scalar, k) => ({ seed: ruleSeed(3, k), scalar, ...(decay && { decay }) }));
  return decodeStepLog(encodeEntries(header, entries));
}

/** A model whose tensors are stored in float16: random bits, but no infinity and no NaN. */
async function halfModel(): Promise<string> {
  const path = await randomModel();
  const { tensors } = await openModelFolder(path);
  const halves = tensors.map(({ name, shape }) => ({ name, shape, dtype: "F16" }));
  const bytes = writeSafetensors(halves, async function* random({ shape }) {
    const count = shape.reduce((a, b) => a * b, 1);
    yield new Uint8Array(Uint16Array.from({ length: count }, (_, i) => (i * 40_503) & 0xbfff).buffer);
  });
  await writeFile(join(path, "model.safetensors"), bytes);
  return path;
}

async function whole(files: AsyncIterable<OutputFile>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const { bytes } of files) for await (const chunk of bytes) all.push(chunk.slice());
  return Buffer.concat(all);
}

/** The digest of the weights after training. */
async function trainedDigest(base: ModelFolder, log: StepLog): Promise<string> {
  const model = await loadModel(base, createPlainDevice(), log.header.noise);
  model.update(log.entries);
  return model.digest();
}

/** The weights after training: on a device, updated as a whole. */
async function trained(base: ModelFolder, log: StepLog): Promise<Buffer> {
  const model = await loadModel(base, createPlainDevice(), log.header.noise);
  model.update(log.entries);
  return whole(trainedFiles(base, log.header.trainable, (name) => model.read(name)));
}

describe("a replay in pieces", () => {
  const kinds = (["F32", "BF16", "F16"] as const).flatMap((dtype) =>
    (["normal", "rademacher"] as const).map((noise) => ({ dtype, noise })),
  );

  test.each(kinds)("gives the same bytes wherever tensors are cut: $dtype, $noise", async ({ dtype, noise }) => {
    const base = await openModelFolder(dtype === "F16" ? await halfModel() : await randomModel(dtype));
    const log = await logOf(base, noise, 0.75);
    const expected = await trained(base, log);
    const odd = fc.integer({ min: 8, max: 1_500 });
    const property = fc.asyncProperty(fc.oneof(odd, fc.constantFrom(16, 512, 1_000_000)), async (pieceBytes) => {
      const seen = await whole(replayedFiles(base, log, createPlainDevice(), { pieceBytes }));
      expect(Buffer.compare(seen, expected)).toBe(0);
    });
    await fc.assert(property, { numRuns: 6 });
  });

  test.each(devices)("is the same on $description", async (device) => {
    for (const { dtype, noise } of kinds) {
      const base = await openModelFolder(dtype === "F16" ? await halfModel() : await randomModel(dtype));
      const log = await logOf(base, noise, 0.75);
      const seen = await whole(replayedFiles(base, log, device, { pieceBytes: 1_005 }));
      expect(Buffer.compare(seen, await trained(base, log))).toBe(0);
    }
  });

  test("reports each piece with its position in its tensor, as it is written", async () => {
    const base = await openModelFolder(await randomModel("BF16"));
    const log = await logOf(base);
    const plain = createPlainDevice();
    const pieces: string[] = [];
    const device: Device = {
      ...plain,
      replay: (piece, entries, noise) => {
        pieces.push(`${piece.name} ${piece.first} ${piece.bytes.length / 2}`);
        return plain.replay(piece, entries, noise);
      },
    };
    const shown: string[] = [];
    const onPiece = ({ name }: { name: string }, bytes: Uint8Array) => shown.push(`${name} ${bytes.length}`);
    await whole(replayedFiles(base, log, device, { pieceBytes: 1_000, onPiece }));
    const norm = "model.decoder.final_layer_norm.bias";
    const table = "model.decoder.embed_tokens.weight";
    expect(pieces.filter((piece) => piece.startsWith(norm))).toStrictEqual([`${norm} 0 16`]);
    expect(pieces.filter((piece) => piece.startsWith(table))).toStrictEqual([
      `${table} 0 500`,
      `${table} 500 500`,
      `${table} 1000 24`,
    ]);
    expect(shown.filter((piece) => piece.startsWith(table))).toStrictEqual([
      `${table} 1000`,
      `${table} 1000`,
      `${table} 48`,
    ]);
  });
});

describe("memory is bounded", () => {
  test("a device is at most one piece ahead of the caller", async () => {
    const base = await openModelFolder(await randomModel());
    const plain = createPlainDevice();
    let started = 0;
    const device: Device = {
      ...plain,
      replay: async (piece, entries, noise) => {
        started += piece.bytes.length;
        await delay(1);
        await plain.replay(piece, entries, noise);
      },
    };
    let taken = 0;
    let most = 0;
    const log = await logOf(base);
    const onPiece = (_: unknown, bytes: Uint8Array) => void (taken += bytes.length);
    for await (const { bytes } of replayedFiles(base, log, device, { pieceBytes: 1_024, onPiece })) {
      for await (const _ of bytes) {
        // Time for a stage that does not wait to get ahead.
        await delay(3);
        most = Math.max(most, started - taken);
      }
    }
    expect(most).toBe(1_024);
  });

  test("a source is asked for the next item while one is in use, and no further", async () => {
    let made = 0;
    const source = async function* count() {
      while (made < 5) yield ++made;
    };
    const lead: number[] = [];
    for await (const item of prefetch(source())) {
      await delay(1);
      lead.push(made - item);
    }
    expect(lead).toStrictEqual([1, 1, 1, 1, 0]);
  });

  test("a source is ended with its reader, and its failure is the reader's", async () => {
    let ended = false;
    const source = async function* endless() {
      try {
        for (let k = 0; ; k++) yield k;
      } finally {
        ended = true;
      }
    };
    for await (const item of prefetch(source())) if (item === 2) break;
    expect(ended).toBe(true);

    const broken = async function* broken() {
      yield 0;
      throw new Error("the disk is on fire");
    };
    const seen: number[] = [];
    const read = async () => {
      for await (const item of prefetch(broken())) {
        // The failure comes while the first item is in use, and must not count as unhandled.
        await delay(5);
        seen.push(item);
      }
    };
    await expect(read()).rejects.toThrow("on fire");
    expect(seen).toStrictEqual([0]);
  });
});

test("a piece that fails leaves no folder", async () => {
  const base = await openModelFolder(await randomModel());
  const plain = createPlainDevice();
  let count = 0;
  const device: Device = {
    ...plain,
    replay: async (piece, entries, noise) => {
      if (++count === 5) throw new Error("the device fell over");
      await plain.replay(piece, entries, noise);
    },
  };
  const folder = await scratch();
  const options = { base, log: await logOf(base), out: join(folder, "out"), device, verify: false, replace: false };
  await expect(reconstruct(options)).rejects.toThrow("fell over");
  expect(count).toBe(5);
  expect(await readdir(folder)).toStrictEqual([]);
});

describe("a rebuilt model", () => {
  const options = { device: createPlainDevice(), verify: "all", replace: false } as const;

  test.each(["F32", "BF16", "F16"] as const)("has the same %s tensors in shards as in one file", async (dtype) => {
    const base = await openModelFolder(dtype === "F16" ? await halfModel() : await randomModel(dtype));
    const log = await logOf(base);
    const folder = await scratch();
    const one = await reconstruct({ ...options, base, log, out: join(folder, "one") });
    const some = await reconstruct({ ...options, base, log, out: join(folder, "some"), shardBytes: 5_000 });
    expect(some).toMatchObject({ digest: one.digest, chain: one.chain });
    const [whole, sharded] = [await openModelFolder(join(folder, "one")), await openModelFolder(join(folder, "some"))];
    expect(await baseHash(sharded)).toBe(await baseHash(whole));

    const files = [...new Set(sharded.tensors.map(({ path }) => basename(path)))].toSorted();
    const names = files.map((_, k) => `model-0000${k + 1}-of-0000${files.length}.safetensors`);
    expect(files.length).toBeGreaterThan(2);
    expect(files).toStrictEqual(names);
    const index = JSON.parse(await readFile(join(folder, "some", "model.safetensors.index.json"), "utf8")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    expect(index.metadata.total_size).toBe(sharded.tensors.reduce((sum, { bytes }) => sum + bytes, 0));
    for (const { name, path } of sharded.tensors) expect(index.weight_map[name]).toBe(basename(path));
    for (const file of names) {
      const inside = sharded.tensors.filter(({ path }) => basename(path) === file);
      const bytes = inside.reduce((sum, tensor) => sum + tensor.bytes, 0);
      expect(inside.length === 1 || bytes <= 5_000).toBe(true);
    }
  });

  test("has copies of the base's other files, and its origin", async () => {
    const path = await randomModel();
    for (const name of ["generation_config.json", "tokenizer_config.json", "chat_template.jinja", "LICENSE"]) {
      await writeFile(join(path, name), `{"is": "${name}"}`);
    }
    const elsewhere = join(await scratch(), "tokenizer.json");
    await writeFile(elsewhere, "{}");
    await symlink(elsewhere, join(path, "tokenizer.json"));
    await writeFile(join(path, "pytorch_model.bin"), "pickled");
    const source = { hub: "https://hub.example", repository: "a/b", revision: "main", commit: "c".repeat(40) };
    await writeOrigin(path, { format: 1, source });
    const base = await openModelFolder(path);
    const log = await logOf(base);
    const out = join(await scratch(), "out");
    const { digest, chain } = await reconstruct({ ...options, base, log, out });
    expect((await readdir(out)).toSorted()).toStrictEqual([
      "LICENSE",
      "chat_template.jinja",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "steplog.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect((await lstat(join(out, "tokenizer.json"))).isFile()).toBe(true);
    expect(await readFile(join(out, "config.json"))).toStrictEqual(await readFile(join(path, "config.json")));
    expect(await readOrigin(out)).toStrictEqual({
      format: 1,
      fineTuned: { base: { hash: log.header.base, source }, entries: 3, chain, weightsDigest: digest },
    });
  });

  test("of a float16 base is float32, and its config says so", async () => {
    const path = await halfModel();
    const config = JSON.parse(await readFile(join(path, "config.json"), "utf8")) as object;
    await writeFile(join(path, "config.json"), JSON.stringify({ ...config, torch_dtype: "float16" }));
    const base = await openModelFolder(path);
    const out = join(await scratch(), "out");
    await reconstruct({ ...options, base, log: await logOf(base), out });
    expect(JSON.parse(await readFile(join(out, "config.json"), "utf8"))).toStrictEqual({
      ...config,
      torch_dtype: "float32",
    });
    expect((await openModelFolder(out)).tensors.every(({ dtype }) => dtype === "F32")).toBe(true);
  });
});

describe("a materialised checkpoint", () => {
  async function request(change: Partial<MaterialiseRequest> = {}): Promise<MaterialiseRequest> {
    const modelPath = await randomModel();
    const log = await logOf(await openModelFolder(modelPath));
    const digest = await trainedDigest(await openModelFolder(modelPath), log);
    const [weightsDir, hashesDir] = [await scratch(), await scratch()];
    const bytes = encodeEntries(log.header, log.entries);
    return { kind: "MATERIALISE", modelPath, hashesDir, log: bytes, digest, weightsDir, ...change };
  }

  async function run(wish: MaterialiseRequest, options: { shardBytes?: number } = {}): Promise<EngineMessage[]> {
    const messages: EngineMessage[] = [];
    for await (const message of runMaterialise(wish, createPlainDevice(), options)) messages.push(message);
    return messages;
  }

  test("has the bytes of the trained weights, and does not overwrite a file", async () => {
    const wish = await request();
    const path = join(wish.weightsDir, "model.safetensors");
    expect(await run(wish)).toStrictEqual([
      { type: "materialised", files: [path, join(wish.weightsDir, "config.json")] },
    ]);
    expect((await openModelFolder(wish.weightsDir)).tensors).toHaveLength(
      (await openModelFolder(wish.modelPath)).tensors.length,
    );
    const base = await openModelFolder(wish.modelPath);
    expect(Buffer.compare(await readFile(path), await trained(base, decodeStepLog(wish.log)))).toBe(0);
    await expect(run(wish)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("consists of shards and an index above a size limit", async () => {
    const wish = await request();
    const names = (await run(wish, { shardBytes: 8_000 })).flatMap((message) =>
      message.type === "materialised" ? message.files.map((path) => basename(path)) : [],
    );
    expect(names.pop()).toBe("config.json");
    const count = names.length - 1;
    expect(count).toBeGreaterThan(2);
    expect(names.at(0)).toBe(`model-00001-of-0000${count}.safetensors`);
    expect(names.at(-1)).toBe("model.safetensors.index.json");
    expect((await readdir(wish.weightsDir)).toSorted()).toStrictEqual(["config.json", ...names].toSorted());
  });

  test("is refused if it differs from what was trained, and the base is hashed again for the next attempt", async () => {
    const wish = await request({ digest: "0".repeat(64) });
    await writeFile(join(wish.hashesDir, "model.json"), "{}");
    await expect(run(wish)).rejects.toThrow(/have the digest [0-9a-f]{64}, .* had 0{64}/u);
    expect(await readdir(wish.hashesDir)).toStrictEqual([]);
  });
});

describe("--verify", () => {
  test("keeps its minute: the ends of every tensor come first, and no sample is begun later", async () => {
    const base = await openModelFolder(await randomModel());
    const log = await logOf(base);
    const now: number[] = [];
    const seen: string[] = [];
    const initial = initialBase(base.tensors);
    const watched: typeof initial = {
      close: () => initial.close(),
      read(tensor, first, count) {
        seen.push(tensor.name);
        return initial.read(tensor, first, count);
      },
    };
    const out = join(await scratch(), "out");
    await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
    const { tensors } = await openModelFolder(out);
    // The clock goes 20 s with every look.
    const clock = () => now.push(0) * 20_000;
    const verified = await verifyWeights(tensors, { sha256: new Map() }, watched, log, "affordable", undefined, clock);
    expect(seen).toStrictEqual(log.header.trainable.slice(0, 2).map(({ name }) => name));
    expect(verified.replayed).toBeLessThan(verified.of);
    const all = await verifyWeights(tensors, { sha256: new Map() }, initialBase(base.tensors), log, "all");
    expect(all.replayed).toBe(all.of);
  });

  test("replays fewer elements of a log so long that 256 would take more than its time", () => {
    expect([1, 100_000, 1_000_000, 256e6].map(sampleElements)).toStrictEqual([256, 256, 30, 8]);
  });

  test("reports how much was replayed again", async () => {
    const base = await openModelFolder(await randomModel());
    const log = await logOf(base);
    const out = join(await scratch(), "out");
    const { verified } = await reconstruct({
      base,
      log,
      out,
      device: createPlainDevice(),
      verify: true,
      replace: false,
    });
    const of = log.header.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(verified).toStrictEqual({ replayed: of, of });
  });

  test.each([true, "all"] as const)(
    "(%s) finds a device that is wrong in one bit, and nothing is left",
    async (verify) => {
      const base = await openModelFolder(await randomModel());
      const plain = createPlainDevice();
      const device: Device = {
        ...plain,
        replay: async (piece, entries, noise) => {
          await plain.replay(piece, entries, noise);
          if (piece.name.endsWith("fc2.bias")) piece.bytes[4] = (piece.bytes[4] ?? 0) ^ 1;
        },
      };
      const folder = await scratch();
      const options = { base, log: await logOf(base), out: join(folder, "out"), device, verify, replace: false };
      await expect(reconstruct(options)).rejects.toThrow(
        /fc2\.bias differs from a second replay, by the plain device/u,
      );
      expect(await readdir(folder)).toStrictEqual([]);
    },
  );

  test("finds a byte that the disk changed", async () => {
    const base = await openModelFolder(await randomModel());
    const log = await logOf(base);
    const out = join(await scratch(), "out");
    await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
    const folder = await openModelFolder(out);
    const last = folder.tensors.at(-1);
    if (!last) throw new Error("the model has tensors");
    const sha256 = new Map([[last.name, "0".repeat(64)]]);
    const path = join(out, "model.safetensors");
    const { length } = await readFile(path);
    await expect(verifyWeights(folder.tensors, { sha256 }, initialBase(base.tensors), log, "all")).rejects.toThrow(
      /was read back .* other/u,
    );

    const file = await open(path, "r+");
    await file.write(Uint8Array.of(77), 0, 1, length - 1);
    await file.close();
    const replay = verifyWeights(folder.tensors, { sha256: new Map() }, initialBase(base.tensors), log, "all");
    await expect(replay).rejects.toThrow(/second replay, by the plain device/u);
  });

  test("samples are spread over a tensor, including its first and last element", () => {
    const shares = fc.double({ min: 0, max: 1.5, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300_000 }), shares, (elements, share) => {
        const runs = [...samples(elements, share)];
        const covered = runs.reduce((sum, { count }) => sum + count, 0);
        runs.forEach(({ first, count }, k) => {
          const before = runs[k - 1];
          expect(count).toBeGreaterThan(0);
          expect(first).toBeGreaterThanOrEqual(before ? before.first + before.count : 0);
        });
        const last = runs.at(-1);
        expect(runs[0]?.first).toBe(0);
        expect((last?.first ?? 0) + (last?.count ?? 0)).toBe(elements);
        if (share >= 1) expect(covered).toBe(elements);
        else expect(covered).toBeLessThanOrEqual(Math.max(512, share * elements + 256));
      }),
    );
  });
});
