/** Replay by pieces: the same bits wherever a tensor is cut, in bounded memory, and all or nothing on disk. */
import { open, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { baseHash, openModelFolder } from "../../engine/model/folder.ts";
import { loadModel, trainableTensors } from "../../engine/model/model.ts";
import { writeSafetensors } from "../../engine/model/safetensors.ts";
import type { Noise } from "../../engine/noise.ts";
import { ahead } from "../../engine/pieces.ts";
import { reconstruct, replayedWeights, weightsFile } from "../../engine/replay.ts";
import { samples, verifyWeights } from "../../engine/verify.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { runMaterialise } from "../../worker/materialise.ts";
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

async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk.slice());
  return Buffer.concat(all);
}

/** What training itself would leave: weights on a device, updated whole. */
async function trained(base: ModelFolder, log: StepLog): Promise<Buffer> {
  const model = await loadModel(base, createPlainDevice(), log.header.noise);
  model.update(log.entries);
  return whole(weightsFile(base, log.header.trainable, (name) => model.read(name)));
}

describe("a replay by pieces", () => {
  const kinds = (["F32", "BF16", "F16"] as const).flatMap((dtype) =>
    (["normal", "rademacher"] as const).map((noise) => ({ dtype, noise })),
  );

  test.each(kinds)("gives the same bytes wherever tensors are cut: $dtype, $noise", async ({ dtype, noise }) => {
    const base = await openModelFolder(dtype === "F16" ? await halfModel() : await randomModel(dtype));
    const log = await logOf(base, noise, 0.75);
    const expected = await trained(base, log);
    const odd = fc.integer({ min: 8, max: 1_500 });
    const property = fc.asyncProperty(fc.oneof(odd, fc.constantFrom(16, 512, 1_000_000)), async (pieceBytes) => {
      const seen = await whole(replayedWeights(base, log, createPlainDevice(), { pieceBytes }));
      expect(Buffer.compare(seen, expected)).toBe(0);
    });
    await fc.assert(property, { numRuns: 6 });
  });

  test.each(devices)("is the same on $description", async (device) => {
    for (const { dtype, noise } of kinds) {
      const base = await openModelFolder(dtype === "F16" ? await halfModel() : await randomModel(dtype));
      const log = await logOf(base, noise, 0.75);
      const seen = await whole(replayedWeights(base, log, device, { pieceBytes: 1_005 }));
      expect(Buffer.compare(seen, await trained(base, log))).toBe(0);
    }
  });

  test("names each piece's place in its tensor, and shows it as it is written", async () => {
    const base = await openModelFolder(await randomModel("BF16"));
    const log = await logOf(base);
    const plain = createPlainDevice();
    const places: string[] = [];
    const device: Device = {
      ...plain,
      replay: (piece, entries, noise) => {
        places.push(`${piece.name} ${piece.first} ${piece.bytes.length / 2}`);
        return plain.replay(piece, entries, noise);
      },
    };
    const shown: string[] = [];
    const onPiece = ({ name }: { name: string }, bytes: Uint8Array) => shown.push(`${name} ${bytes.length}`);
    await whole(replayedWeights(base, log, device, { pieceBytes: 1_000, onPiece }));
    const norm = "model.decoder.final_layer_norm.bias";
    const table = "model.decoder.embed_tokens.weight";
    expect(places.filter((place) => place.startsWith(norm))).toStrictEqual([`${norm} 0 16`]);
    expect(places.filter((place) => place.startsWith(table))).toStrictEqual([
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
  test("a device never has more than one piece that the caller has not asked for", async () => {
    const base = await openModelFolder(await randomModel());
    const plain = createPlainDevice();
    let begun = 0;
    const device: Device = {
      ...plain,
      replay: async (piece, entries, noise) => {
        begun += piece.bytes.length;
        await delay(1);
        await plain.replay(piece, entries, noise);
      },
    };
    let taken = 0;
    let most = 0;
    const log = await logOf(base);
    const onPiece = (_: unknown, bytes: Uint8Array) => void (taken += bytes.length);
    for await (const _ of replayedWeights(base, log, device, { pieceBytes: 1_024, onPiece })) {
      // Time for a stage that does not wait to run away.
      await delay(3);
      most = Math.max(most, begun - taken);
    }
    expect(most).toBe(1_024);
  });

  test("a source is asked for one item beyond the one in use, while it is in use", async () => {
    let made = 0;
    const source = async function* count() {
      while (made < 5) yield ++made;
    };
    const lead: number[] = [];
    for await (const item of ahead(source())) {
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
    for await (const item of ahead(source())) if (item === 2) break;
    expect(ended).toBe(true);

    const broken = async function* broken() {
      yield 0;
      throw new Error("the disk is on fire");
    };
    const seen: number[] = [];
    const read = async () => {
      for await (const item of ahead(broken())) {
        // The failure comes while the first item is in use: it must wait, not be unhandled.
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

test("a checkpoint that is materialised has the same bytes, and does not go over a file that is there", async () => {
  const modelPath = await randomModel();
  const base = await openModelFolder(modelPath);
  const log = await logOf(base);
  const weightsPath = join(await scratch(), "model.safetensors");
  const request = {
    kind: "MATERIALISE",
    modelPath,
    log: encodeEntries(log.header, log.entries),
    weightsPath,
  } as const;
  const run = async () => {
    const messages: string[] = [];
    for await (const { type } of runMaterialise(request, createPlainDevice())) messages.push(type);
    return messages;
  };
  expect(await run()).toStrictEqual(["done"]);
  expect(Buffer.compare(await readFile(weightsPath), await trained(base, log))).toBe(0);
  await expect(run()).rejects.toThrow("EEXIST");
});

describe("--verify", () => {
  test("says how much was replayed a second time", async () => {
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
      await expect(reconstruct(options)).rejects.toThrow(/fc2\.bias differs from a second, plain replay/u);
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
    await expect(verifyWeights(out, { bytes: length, sha256 }, base, log, "all")).rejects.toThrow(
      /reads back .* other/u,
    );

    const file = await open(path, "r+");
    await file.write(Uint8Array.of(77), 0, 1, length - 1);
    await file.close();
    const replay = verifyWeights(out, { bytes: length, sha256: new Map() }, base, log, "all");
    await expect(replay).rejects.toThrow(/second, plain replay/u);
  });

  test("samples are spread over a tensor, its first and its last element among them", () => {
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
