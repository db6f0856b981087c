/** Rebuilt folders in a dtype of one's choice: rounding, digests, configs, and what is refused. */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import { openAdapter } from "../../engine/model/adapters/peft.ts";
import { converted } from "../../engine/model/files/convert.ts";
import type { ModelFolder } from "../../engine/model/files/folder.ts";
import { baseHash, locationOf, openModelFolder } from "../../engine/model/files/folder.ts";
import { readOrigin } from "../../engine/model/files/origin.ts";
import { readTensor } from "../../engine/model/files/safetensors.ts";
import { trainableTensors } from "../../engine/model/trainable.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import type { LogEntry, StepLog, TrainableTensor } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { randomModel, scratch } from "../support/models.ts";

const device = createPlainDevice();
const stored = { float32: "F32", bfloat16: "BF16", float16: "F16" } as const;

/** The value of 16 bits, by the definition of the format. */
function valueOf(bits: number, fractionBits: number): number {
  const bias = 2 ** (14 - fractionBits) - 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = bits & (2 ** fractionBits - 1);
  const size =
    exponent === 0
      ? fraction * 2 ** (1 - bias - fractionBits)
      : (1 + fraction / 2 ** fractionBits) * 2 ** (exponent - bias);
  return bits & 0x8000 ? -size : size;
}

describe("rounding", () => {
  const round = (values: Float32Array, dtype: "float16" | "bfloat16") => {
    const tensor = { name: "w", dtype: "F32", shape: [values.length] };
    return new Uint16Array(Uint8Array.from(converted(tensor, new Uint8Array(values.buffer), dtype)).buffer);
  };

  // Every finite value of both formats, and the gap above it.
  test.each([
    ["float16", 10],
    ["bfloat16", 7],
  ] as const)("to %s takes the nearest value, ties to even", (dtype, fractionBits) => {
    const largest = 0x7fff - 2 ** fractionBits;
    const all = Array.from({ length: largest }, (_, i) => i);
    const signed = [...all, ...all.map((bits) => bits | 0x8000)];
    const between = (share: number) =>
      Float32Array.from(signed, (bits) => {
        const [low, high] = [valueOf(bits, fractionBits), valueOf(bits + 1, fractionBits)];
        return low + share * (high - low);
      });
    const differing = (share: number, expected: (bits: number) => number) =>
      Array.from(round(between(share), dtype)).filter((seen, i) => seen !== expected(signed[i] ?? NaN));
    expect(differing(0, (bits) => bits)).toStrictEqual([]);
    expect(differing(0.4375, (bits) => bits)).toStrictEqual([]);
    expect(differing(0.5, (bits) => bits + (bits & 1))).toStrictEqual([]);
    expect(differing(0.5625, (bits) => bits + 1)).toStrictEqual([]);
  });

  test("sees every bit of a float32, below the smallest float16 too", () => {
    const above = Float32Array.of(2 ** -25 + 2 ** -47, 2 ** -25, 2 ** -149, 1 + 2 ** -11 + 2 ** -23, 1 + 2 ** -11);
    expect([...round(above, "float16")]).toStrictEqual([1, 0, 0, 0x3c01, 0x3c00]);
  });

  test("leaves infinities and NaN what they are, and widens exactly", () => {
    const special = Float32Array.of(Infinity, -Infinity, NaN);
    expect([...round(special, "float16")]).toStrictEqual([0x7c00, 0xfc00, 0x7e00]);
    expect([...round(special, "bfloat16")]).toStrictEqual([0x7f80, 0xff80, 0x7fc0]);
    const halves = Uint16Array.of(0x3c00, 0x0001, 0xfbff, 0x8000);
    const wide = converted({ name: "w", dtype: "F16", shape: [4] }, new Uint8Array(halves.buffer), "float32");
    expect(new Float32Array(wide.buffer)).toStrictEqual(Float32Array.of(1, 2 ** -24, -65504, -0));
  });

  test.each([
    ["float16", 65520, /w has a value of 65520, and the largest in float16 is 65504\. Choose bfloat16 or float32/u],
    ["bfloat16", 3.4e38, /largest in bfloat16 is 3\.39e\+38\. Choose float32/u],
  ] as const)("to %s refuses what would become infinite", (dtype, value, message) => {
    expect(() => round(Float32Array.of(1, value), dtype)).toThrow(message);
    expect([...round(Float32Array.of(65519), "float16")]).toStrictEqual([0x7bff]);
  });
});

const scalars = [0.5, -0.25, 2 ** -9];
const entries: LogEntry[] = scalars.map((scalar, k) => ({ seed: ruleSeed(3, k), scalar }));

async function logOf(base: ModelFolder, trainable: readonly TrainableTensor[], more: object = {}): Promise<StepLog> {
  const header = { format: 1 as const, base: await baseHash(base), noise: "normal" as const, seed: 3 };
  return decodeStepLog(encodeEntries({ ...header, hyperparameters: {}, trainable: [...trainable], ...more }, entries));
}

async function loraLog(base: ModelFolder): Promise<StepLog> {
  const adapter = seededLora(targetedModules(base.architecture, []), { rank: 2, alpha: 4, seed: 3 });
  return logOf(base, adapter.tensors, adapter.header);
}

/** A base in a dtype, as its files and its config have it. */
async function baseIn(dtype: OutputDtype): Promise<ModelFolder> {
  const path = await randomModel(dtype === "bfloat16" ? "BF16" : "F32", { torch_dtype: dtype });
  if (dtype !== "float16") return openModelFolder(path);
  const out = join(await scratch(), "half");
  const base = await openModelFolder(path);
  const log = decodeStepLog(encodeEntries((await logOf(base, trainableTensors(base))).header, []));
  await reconstruct({ base, log, out, device, verify: false, replace: false, dtype });
  return openModelFolder(out);
}

/** Every tensor of a folder, as it would be in a dtype. */
async function tensorsIn(folder: string, dtype: OutputDtype): Promise<Map<string, Buffer>> {
  const { tensors } = await openModelFolder(folder);
  return new Map(
    await Promise.all(
      tensors.map(async (each) => [each.name, Buffer.from(converted(each, await readTensor(each), dtype))] as const),
    ),
  );
}

describe("a folder rebuilt in another dtype", () => {
  const options = { device, verify: true, replace: false } as const;
  const cases = [
    { from: "float32", dtype: "float16" },
    { from: "bfloat16", dtype: "float32" },
    { from: "bfloat16", dtype: "bfloat16" },
    { from: "float16", dtype: "float16" },
  ] as const;

  test.each([...cases, { from: "float32", dtype: "bfloat16" } as const])(
    "of a $from base, in $dtype, has the trained weights, rounded",
    async ({ from, dtype }) => {
      const base = await baseIn(from);
      const log = await logOf(base, trainableTensors(base));
      const folder = await scratch();
      const [plain, out] = [join(folder, "plain"), join(folder, "out")];
      const trained = await reconstruct({ ...options, base, log, out: plain });
      const rebuilt = await reconstruct({ ...options, base, log, out, dtype, shardBytes: 5_000 });
      // The log's digest is that of training; the folder has one of its own.
      expect(rebuilt).toMatchObject({ digest: trained.digest, chain: trained.chain, verified: trained.verified });
      expect(trained.filesDigest).toBe(await baseHash(await openModelFolder(plain)));
      const opened = await openModelFolder(out);
      expect(rebuilt.filesDigest).toBe(await baseHash(opened));
      expect(new Set(opened.tensors.map((tensor) => tensor.dtype))).toStrictEqual(new Set([stored[dtype]]));
      expect(await tensorsIn(out, dtype)).toStrictEqual(await tensorsIn(plain, dtype));
      expect(opened.config).toMatchObject({ torch_dtype: dtype });
      expect(await readOrigin(out)).toMatchObject({ fineTuned: { weightsDigest: trained.digest, dtype } });
    },
  );

  test.each(cases)("of a $from base with its adapter merged, in $dtype", async ({ from, dtype }) => {
    const base = await baseIn(from);
    const log = await loraLog(base);
    const folder = await scratch();
    const [plain, out] = [join(folder, "plain"), join(folder, "out")];
    const { digest, ...usual } = await reconstruct({ ...options, base, log, out: plain, merge: true });
    expect(usual.filesDigest).toBe(await baseHash(await openModelFolder(plain)));
    const merged = await reconstruct({ ...options, base, log, out, merge: true, dtype });
    const opened = await openModelFolder(out);
    expect(merged).toMatchObject({ digest, filesDigest: await baseHash(opened) });
    expect(new Set(opened.tensors.map((tensor) => tensor.dtype))).toStrictEqual(new Set([stored[dtype]]));
    expect(await readOrigin(out)).toMatchObject({ fineTuned: { weightsDigest: digest, merged: true, dtype } });
    expect(opened.config).toMatchObject({ torch_dtype: dtype });
    const [seen, rounded] = [await tensorsIn(out, dtype), await tensorsIn(plain, dtype)];
    // The sum is rounded once: in float32 it keeps what a bfloat16 base would lose of the adapter.
    const isFiner = from === "bfloat16" && dtype !== "bfloat16";
    const differing = [...seen].filter(([name, bytes]) => rounded.get(name)?.equals(bytes) === false);
    const adapted = targetedModules(base.architecture, []).map(({ weight }) => locationOf(base, weight).name);
    expect(differing.map(([name]) => name).toSorted()).toStrictEqual(isFiner ? adapted.toSorted() : []);
  });

  test.each(["bfloat16", "float16"] as const)("is an adapter in %s, which is read back", async (dtype) => {
    const base = await baseIn("float32");
    const out = join(await scratch(), "adapter");
    await reconstruct({ ...options, base, log: await loraLog(base), out, dtype });
    const adapter = await openAdapter(out, base.architecture);
    if (adapter.kind !== "lora") throw new Error("it is a LoRA adapter");
    const header = (await readFile(join(out, "adapter_model.safetensors"))).toString("latin1", 8, 400);
    expect(header).toContain(`"dtype":"${stored[dtype]}"`);
    expect(adapter.tensors[0]?.dtype).toBe(dtype === "bfloat16" ? "BF16" : "F32");
  });

  test("has the config of its base, but for the dtype: a float without a fraction stays one", async () => {
    const path = await randomModel();
    const file = join(path, "config.json");
    const config = (dtype: string) =>
      `${text.slice(0, -1)},\n "init_std": 1.0, "dtype": ${dtype}, "torch_dtype": ${dtype}}`;
    const text = (await readFile(file, "utf8")).trim();
    await writeFile(file, config("null"));
    const base = await openModelFolder(path);
    const out = join(await scratch(), "out");
    await reconstruct({ ...options, base, log: await logOf(base, trainableTensors(base)), out, dtype: "float16" });
    expect(await readFile(join(out, "config.json"), "utf8")).toBe(config('"float16"'));
  });

  test("is not written where a weight has no place in the dtype", async () => {
    const path = await randomModel();
    const file = join(path, "model.safetensors");
    const bytes = await readFile(file);
    const [last] = (await openModelFolder(path)).tensors.toSorted((a, b) => b.offset - a.offset);
    bytes.writeFloatLE(70_000, bytes.length - 4);
    await writeFile(file, bytes);
    const base = await openModelFolder(path);
    const folder = await scratch();
    const log = await logOf(base, trainableTensors(base));
    await expect(reconstruct({ ...options, base, log, out: join(folder, "out"), dtype: "float16" })).rejects.toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining(`tensor ${last?.name} has a value of`) as unknown,
        issues: [{ field: "dtype", message: expect.any(String) as unknown }],
      }),
    );
    expect(await readdir(folder)).toStrictEqual([]);
  });
});
