import { readFileSync } from "node:fs";
import { cp, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { EncodedRow } from "../../dataset/encode.ts";
import { encodeRow } from "../../dataset/encode.ts";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { generate } from "../../engine/generation/generate.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { logHeader } from "../../engine/train/log-header.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import type { Adapter } from "../../engine/model/adapters/adapter.ts";
import type { ModelFolder } from "../../engine/model/files/folder.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { adapterOfLog } from "../../engine/model/adapters/all.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openAdapter } from "../../engine/model/adapters/peft.ts";
import { drawnTokens, prefixAdapter, prefixTensor, seededPrefix } from "../../engine/model/adapters/prefix.ts";
import { keysAndValues } from "../../engine/model/adapters/prefix-start.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries } from "../../schema/step-log.ts";
import { golden, goldenModels, randomModel, scratch } from "../support/models.ts";
import { openDevices } from "../support/open-devices.ts";

/** A golden model's rows, and what peft computes after its golden prefix (tests/golden/README.md). */
interface Rows {
  kind: "causal_lm" | "masked_lm";
  input_ids: number[][];
  labels: number[][];
  lengths: number[];
}
type Expected = Record<string, { nll: number[]; logits: { row: number; pos: number; values: number[] }[] }>;

const devices = await openDevices();
const plain = createPlainDevice();
const behindPrefix = JSON.parse(readFileSync(golden("prefix.json"), "utf8")) as Expected;
const rowsOf = (name: string) => JSON.parse(readFileSync(golden("hf", name, "expected.json"), "utf8")) as Rows;
const causal = goldenModels.filter((name) => rowsOf(name).kind === "causal_lm");

function rowsIn(name: string): EncodedRow[] {
  const { input_ids: ids, labels, lengths } = rowsOf(name);
  const upTo = (values: number[] | undefined, length: number) => (values ?? []).slice(0, length);
  return lengths.map((length, row) =>
    encodeRow(null, { input_ids: upTo(ids[row], length), labels: upTo(labels[row], length) }),
  );
}

function prefixOf(folder: ModelFolder, tokens: Int32Array): Adapter {
  const tensor = prefixTensor(folder.architecture, tokens.length);
  return prefixAdapter(folder.architecture, tensor, () =>
    Promise.resolve(new Uint8Array(keysAndValues(folder, tokens).buffer)),
  );
}

function expectClose(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(seen.length).toBe(expected.length);
  Array.from(expected, (value, i) => expect(Math.abs((seen[i] ?? NaN) - value)).toBeLessThan(1e-4));
}

describe.each(causal)("%s with a prefix", (name) => {
  const path = golden("hf", name);

  test.each(devices)("has the losses and logits of peft on $name", async (device) => {
    const expected = behindPrefix[name];
    if (!expected) throw new Error(`prefix.json knows ${name}`);
    const folder = await openModelFolder(path);
    const adapter = await openAdapter(`${path}/prefix`, folder.architecture);
    const model = await loadModel(folder, device, "normal", { adapter });
    expectClose(await model.losses(rowsIn(name)), expected.nll);
    for (const { row, pos, values } of expected.logits) {
      const ids = Int32Array.from(rowsOf(name).input_ids[row] ?? []);
      expectClose(await model.logits(ids, Int32Array.of(pos)), values);
    }
  });

  test.each(devices)("made of tokens computes the same as after those tokens, on $name", async (device) => {
    const folder = await openModelFolder(path);
    const tokens = Int32Array.of(7, 3, 11);
    const model = await loadModel(folder, device, "normal", { adapter: prefixOf(folder, tokens) });
    const afterTokens = rowsIn(name).map(({ ids, positions, targets }) => ({
      ids: Int32Array.of(...tokens, ...ids),
      positions: positions.map((at) => at + tokens.length),
      targets,
    }));
    expectClose(await model.losses(rowsIn(name)), await model.bare.losses(afterTokens));
    expect(model.contextLength).toBe(folder.architecture.contextLength - tokens.length);
    const prompt = [5, 9];
    expect(await generate(model, prompt, 6)).toStrictEqual(await generate(model.bare, [...tokens, ...prompt], 6));
  });
});

describe("a masked model with a prefix", () => {
  test("counts positions after it, and sees it from every position", async () => {
    const folder = await openModelFolder(golden("hf/roberta"));
    const row = { ids: Int32Array.of(4, 6, 9), positions: Int32Array.of(0, 2), targets: Int32Array.of(5, 8) };
    const losses: number[][] = [];
    for (const device of devices) {
      const model = await loadModel(folder, device, "normal", { adapter: prefixOf(folder, Int32Array.of(7, 3)) });
      losses.push([...(await model.losses([row, row]))]);
      const bare = await model.bare.losses([row]);
      expect(Math.abs((losses.at(-1)?.[0] ?? NaN) - (bare[0] ?? NaN))).toBeGreaterThan(1e-4);
    }
    for (const seen of losses) expectClose(seen, losses[0] ?? []);
    // Position 3 of its table is the first token's, without a prefix; with one of two tokens, position 5 is.
    const moved = { ...folder, architecture: { ...folder.architecture } };
    moved.architecture.forward = (pass, weights, tokens, positions) =>
      folder.architecture.forward(pass, weights, { ...tokens, past: [0, 0] }, positions);
    const unmoved = await loadModel(moved, plain, "normal", { adapter: prefixOf(folder, Int32Array.of(7, 3)) });
    const other = await unmoved.losses([row, row]);
    expect(Math.max(...other.map((loss, i) => Math.abs(loss - (losses[0]?.[i] ?? NaN))))).toBeGreaterThan(1e-4);
  });
});

const settings: MezoSettings = {
  steps: 8,
  batchSize: 3,
  learningRate: 0.05,
  epsilon: 0.1,
  weightDecay: 0,
  noise: "rademacher",
  seed: 3,
};
const rows: EncodedRow[] = Array.from({ length: 7 }, (_, i) => {
  const ids = Array.from({ length: 4 + i }, (__, j) => (i * 13 + j * 7) % 64);
  return encodeRow(null, { input_ids: ids, labels: ids.map((id, j) => (j < 2 ? -100 : id)) });
});

async function trained(path: string, device: Device, changes: Partial<MezoSettings> = {}) {
  const chosen = { ...settings, ...changes };
  const folder = await openModelFolder(path);
  const adapter = seededPrefix(folder, 4, chosen.seed);
  const model = await loadModel(folder, device, chosen.noise, { adapter });
  const entries: LogEntry[] = [];
  for await (const step of train(model, tokenLoss(rows), chosen, beginning)) entries.push(...step.entries);
  const header = logHeader(await baseHash(folder), model, chosen, adapter.header);
  return { model, adapter, log: decodeStepLog(encodeEntries(header, entries)) };
}

describe("a trained prefix", () => {
  const cases = devices.flatMap((device) =>
    (["F32", "BF16"] as const).flatMap((dtype) =>
      (["normal", "rademacher"] as const).map((noise) => ({ device, name: device.name, dtype, noise })),
    ),
  );

  test.each(cases)("is rebuilt from its log, byte by byte: $name, $dtype base, $noise", async (kind) => {
    const { model, log } = await trained(await randomModel(kind.dtype), kind.device, {
      noise: kind.noise,
      weightDecay: 0.1,
    });
    const out = join(await scratch(), "adapter");
    const options = { base: model.folder, log, out, device: plain, verify: "all", replace: false } as const;
    const { digest, verified } = await reconstruct(options);
    expect(digest).toBe(await model.digest());
    expect(verified).toStrictEqual({ replayed: 4 * 4 * 16, of: 4 * 4 * 16 });
    expect((await readdir(out)).toSorted()).toStrictEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "steplog.json",
    ]);
    const adapter = await openAdapter(out, model.folder.architecture);
    const read = await loadModel(model.folder, plain, "normal", { adapter });
    const [one, other] = [await read.read("prompt_embeddings"), await model.read("prompt_embeddings")];
    expect(Buffer.compare(one, other)).toBe(0);
  });

  test("is written as peft writes one", async () => {
    const path = golden("hf/llama");
    const { model, log } = await trained(path, plain, { steps: 1 });
    const out = join(await scratch(), "adapter");
    await reconstruct({ base: model.folder, log, out, device: plain, verify: false, replace: false });
    const config = async (of: string) =>
      JSON.parse(await readFile(`${of}/adapter_config.json`, "utf8")) as Record<string, unknown>;
    const { base_model_name_or_path: _, ...written } = await config(out);
    expect(await config(`${path}/prefix`)).toMatchObject(written);
  });

  test("cannot be merged, and says so", async () => {
    const { model, log } = await trained(await randomModel(), plain, { steps: 1 });
    const out = join(await scratch(), "merged");
    const merge = { base: model.folder, log, out, device: plain, verify: false, replace: false, merge: true };
    await expect(reconstruct(merge)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: /prefix/u });
  });

  test("leaves the base as it was", async () => {
    const { model } = await trained(await randomModel(), plain);
    const base = await loadModel(model.folder, plain, "normal");
    expect(await model.bare.losses(rows)).toStrictEqual(await base.losses(rows));
    expect(await model.losses(rows)).not.toStrictEqual(await base.losses(rows));
  });
});

describe("the start of a prefix", () => {
  test("is drawn from the whole vocabulary, without padding, by seed", async () => {
    const { architecture } = await openModelFolder(golden("hf/roberta"));
    const drawn = drawnTokens(architecture, 4_000, 1);
    expect(drawn).toStrictEqual(drawnTokens(architecture, 4_000, 1));
    expect(drawn).not.toStrictEqual(drawnTokens(architecture, 4_000, 2));
    expect(drawn.subarray(0, 9)).toStrictEqual(drawnTokens(architecture, 9, 1));
    const missing = Array.from({ length: architecture.vocabulary }, (_, id) => id).filter((id) => !drawn.includes(id));
    expect(missing).toStrictEqual([architecture.padding]);
  });

  test.each(JSON.parse(readFileSync(golden("prefix-init.json"), "utf8")) as { model: string; digest: string }[])(
    "in $model has the digest that every machine finds",
    async ({ model, digest }) => {
      const { header } = seededPrefix(await openModelFolder(golden("hf", model)), 5, 42);
      expect(header.prefix.digest).toBe(digest);
    },
  );

  test("is proved by the header's digest", async () => {
    const { model, log } = await trained(await randomModel(), plain, { steps: 1 });
    const prefix = { length: 4, seed: 3, digest: "0".repeat(64) };
    const adapter = adapterOfLog(model.folder, { ...log.header, prefix });
    const [tensor] = adapter?.tensors ?? [];
    if (!adapter || !tensor) throw new Error("the log trains a prefix");
    await expect(adapter.read(tensor)).rejects.toMatchObject({
      code: "LOG_INVALID",
      issues: [{ field: "prefix.digest" }],
    });
    expect(() => adapterOfLog(model.folder, { ...log.header, prefix: { ...prefix, length: 5 } })).toThrow(/\[4,64\]/u);
  });
});

describe("a prefix's folder is refused", () => {
  const edited = async (change: object, model = "llama") => {
    const folder = join(await scratch(), "prefix");
    await cp(golden("hf/llama/prefix"), folder, { recursive: true });
    const path = join(folder, "adapter_config.json");
    const config = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...config, ...change }));
    return openAdapter(folder, (await openModelFolder(golden("hf", model))).architecture);
  };

  test.each([
    ["prefix_projection", true],
    ["modules_to_save", ["lm_head"]],
    ["something_new", 1],
  ])("with %s = %j, naming the field", async (field, value) => {
    await expect(edited({ [field]: value })).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED", issues: [{ field }] });
  });

  test("of another length than its tensor, or of another model", async () => {
    await expect(edited({ num_virtual_tokens: 9 })).rejects.toMatchObject({ code: "MODEL_INVALID", message: /\[9,/u });
    await expect(edited({}, "opt")).rejects.toMatchObject({ code: "MODEL_INVALID" });
    await expect(edited({ num_virtual_tokens: 0 })).rejects.toMatchObject({
      issues: [{ field: "num_virtual_tokens" }],
    });
  });
});
