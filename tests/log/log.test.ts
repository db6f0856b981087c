/** steplog/log on logs that a release wrote, and the demo base that they were trained on. */
import { readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, expectTypeOf, test } from "vitest";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { readTensor } from "../../engine/model/files/safetensors.ts";
import type { LogEntry, Reconstruction, StepLogHeader } from "../../log/index.ts";
import { readLog, replay, replayTensor, SteplogError, verifyBase } from "../../log/index.ts";
import { packagePath } from "../../schema/package.ts";
import { randomModel, scratch } from "../support/models.ts";

const histories = packagePath("tests/histories/0.1.0");
const digests = JSON.parse(readFileSync(`${histories}/digests.json`, "utf8")) as Record<
  string,
  { readonly base: string; readonly digest: string }
>;
const bytesOf = (name: string) => readFileSync(`${histories}/${name}.steplog`);
const baseOf = (name: string) => packagePath(digests[name]?.base ?? "");

async function valuesOf(folder: string, name: string): Promise<Uint8Array> {
  const location = (await openModelFolder(folder)).tensors.find((tensor) => tensor.name === name);
  if (!location) throw new Error(`there is no tensor ${name}`);
  return readTensor(location);
}

test("a log is read with its header, entries and chain hash", () => {
  const log = readLog(bytesOf("full-rademacher"));
  expect(log.header.noise).toBe("rademacher");
  expect(log.entries.length).toBeGreaterThan(1);
  expect(log.chainHash).toMatch(/^[0-9a-f]{64}$/u);
  expectTypeOf(log.header).toEqualTypeOf<StepLogHeader>();
  expectTypeOf(log.entries).toEqualTypeOf<readonly LogEntry[]>();
  expectTypeOf(replay).returns.resolves.toEqualTypeOf<Reconstruction>();
});

test("a damaged log is refused", () => {
  const bytes = Uint8Array.from(bytesOf("full-rademacher"));
  const at = bytes.length - 40;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  expect(() => readLog(bytes)).toThrow(SteplogError);
  expect(() => readLog(bytes)).toThrow(/chain hash/u);
});

test("the base of a log is told from another", async () => {
  const log = readLog(bytesOf("full-rademacher"));
  await verifyBase(log, baseOf("full-rademacher"));
  await expect(verifyBase(log, await randomModel())).rejects.toMatchObject({ code: "BASE_MISMATCH" });
});

test.each(["full-normal", "bfloat16", "decay"])("%s: a folder and single tensors are rebuilt", async (name) => {
  const baseDir = baseOf(name);
  const outDir = join(await scratch(), "rebuilt");
  const log = readLog(bytesOf(name));
  const stages = new Set<string>();
  const rebuilt = await replay({ baseDir, log, outDir, device: "plain", onProgress: (stage) => stages.add(stage) });
  expect(rebuilt).toMatchObject({ digest: digests[name]?.digest, chain: log.chainHash, entries: log.entries.length });
  expect(stages).toContain("replaying");

  const { noise, trainable } = log.header;
  const [tensor] = trainable.toSorted((a, b) => a.shape.length - b.shape.length);
  if (!tensor) throw new Error("the log trains a tensor");
  const before = await valuesOf(baseDir, tensor.name);
  const values = tensor.dtype === "BF16" ? new Uint16Array(before.buffer) : new Float32Array(before.buffer);
  // In two runs of elements: each knows where it is in the tensor.
  const half = values.length >> 1;
  replayTensor(values.subarray(0, half), log.entries, { name: tensor.name, noise });
  replayTensor(values.subarray(half), log.entries, { name: tensor.name, noise, first: half });
  expect(Buffer.from(values.buffer).equals(await valuesOf(outDir, tensor.name))).toBe(true);
});

test("an existing folder is not replaced unless asked to", async () => {
  const name = "full-rademacher";
  const outDir = join(await scratch(), "taken");
  await cp(baseOf(name), outDir, { recursive: true });
  const options = { baseDir: baseOf(name), log: readLog(bytesOf(name)), outDir };
  await expect(replay(options)).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await replay({ ...options, replace: true })).toMatchObject({ digest: digests[name]?.digest });
});
