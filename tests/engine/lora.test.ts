import { readFileSync } from "node:fs";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import { mergedFiles, mergedTensors } from "../../engine/replay/adapter-files.ts";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { logHeader } from "../../engine/train/log-header.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import { copyCompanions, dtypeOfTrained } from "../../engine/model/files/companions.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { LoraHeader } from "../../engine/model/adapters/lora.ts";
import { linearModules, seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import { adapterOfLog, adapterShapes } from "../../engine/model/adapters/all.ts";
import { prefixTensor } from "../../engine/model/adapters/prefix.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openAdapter } from "../../engine/model/adapters/peft.ts";
import { readSafetensorsHeader } from "../../engine/model/files/safetensors.ts";
import { writeFiles } from "../../engine/model/files/shards.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { adapterBytes } from "../../schema/adapter-size.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { LogEntry, StepLog, TrainableTensor } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries } from "../../schema/step-log.ts";
import { openDevices } from "../support/open-devices.ts";
import { golden, goldenModels, randomModel, scratch } from "../support/models.ts";

/** What peft computes with the adapter of a golden model (tests/golden/README.md). */
interface Expected {
  kind: "causal_lm" | "masked_lm";
  input_ids: number[][];
  labels: number[][];
  lengths: number[];
  lora: {
    parameters: number;
    loss_float64: number;
    nll: { nll: number }[];
    logits: { row: number; pos: number; values: number[] }[];
  };
}

const devices = await openDevices();
const plain = createPlainDevice();

test.each(goldenModels)("an adapter of %s takes the memory that a run's need counts", async (name) => {
  const { architecture } = await openModelFolder(golden("hf", name));
  const layers = linearModules(architecture).map((layer) => layer.name);
  const counted = (settings: Partial<Hyperparameters>) =>
    adapterBytes(hyperparametersSchema.parse(settings), { tensors: [], layers }, adapterShapes(architecture));
  const bytes = (tensors: readonly TrainableTensor[]) =>
    tensors.reduce((sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1), 0);
  const lora = (targets: readonly string[]) =>
    bytes(seededLora(targetedModules(architecture, targets), { rank: 3, alpha: 1, seed: 1 }).tensors);
  const [last = ""] = layers.slice(-1);
  for (const loraTargets of [[], [last]]) {
    expect(lora(loraTargets)).toBeGreaterThan(0);
    expect(counted({ method: "LORA", loraRank: 3, loraTargets })).toBe(lora(loraTargets));
  }
  expect(counted({ method: "PREFIX", prefixLength: 5 })).toBe(bytes([prefixTensor(architecture, 5)]));
  expect(counted({})).toBe(0);
});

describe.each(goldenModels)("the golden adapter of %s", (name) => {
  const path = golden("hf", name);
  const expected = JSON.parse(readFileSync(`${path}/expected.json`, "utf8")) as Expected;
  const kind = expected.kind === "causal_lm" ? "causal" : "masked";
  const encode = (row: number, length?: number) => {
    const [ids, labels] = [expected.input_ids[row] ?? [], expected.labels[row] ?? []];
    return encodeRow(null, { input_ids: ids.slice(0, length), labels: labels.slice(0, length) }, kind);
  };
  const load = async (device: (typeof devices)[number]) => {
    const folder = await openModelFolder(path);
    return loadModel(folder, device, "normal", { adapter: await openAdapter(`${path}/adapter`, folder.architecture) });
  };

  test.each(devices)("has the losses and logits of peft on $name", async (device) => {
    const model = await load(device);
    const elements = model.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(elements).toBe(expected.lora.parameters);
    for (const padded of [false, true]) {
      const rows = expected.lengths.map((length, row) => encode(row, padded ? undefined : length));
      const losses = await model.losses(rows);
      expect(losses.length).toBe(expected.lora.nll.length);
      expected.lora.nll.forEach(({ nll }, i) => expect(Math.abs((losses[i] ?? NaN) - nll)).toBeLessThan(1e-4));
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      expect(Math.abs(mean - expected.lora.loss_float64)).toBeLessThan(1e-5);
    }
    for (const { row, pos, values } of expected.lora.logits) {
      const logits = await model.logits(Int32Array.from(expected.input_ids[row] ?? []), Int32Array.of(pos));
      values.forEach((value, i) => expect(Math.abs((logits[i] ?? NaN) - value)).toBeLessThan(1e-4));
    }
  });

  test("has the losses of peft when it is merged", async () => {
    const folder = await openModelFolder(path);
    const adapter = await openAdapter(`${path}/adapter`, folder.architecture);
    if (adapter.kind !== "lora") throw new Error("it is a LoRA adapter");
    const out = await scratch();
    await copyCompanions(folder, dtypeOfTrained(folder, mergedTensors(folder, adapter)), out);
    await writeFiles(out, mergedFiles(folder, adapter));
    const merged = await loadModel(await openModelFolder(out), plain, "normal");
    const losses = await merged.losses(expected.lengths.map((length, row) => encode(row, length)));
    // A bfloat16 base stores the sum as bfloat16.
    const tolerance = folder.tensors.some(({ dtype }) => dtype === "BF16") ? 0.03 : 1e-4;
    expected.lora.nll.forEach(({ nll }, i) => expect(Math.abs((losses[i] ?? NaN) - nll)).toBeLessThan(tolerance));
  });

  test("adapts exactly the layers that the family runs as linear layers", async () => {
    const seen = new Set<string>();
    const watching: Device = {
      ...plain,
      begin: (...args) => {
        const pass = plain.begin(...args);
        const linear = pass.linear.bind(pass);
        pass.linear = (x, weight, bias, layout) => {
          seen.add(`${weight.name} ${layout ?? "out-in"}`);
          return linear(x, weight, bias, layout);
        };
        return pass;
      },
    };
    const folder = await openModelFolder(path);
    await (await loadModel(folder, watching, "normal")).losses([encode(0)]);
    const known = linearModules(folder.architecture).map(
      ({ weight, layout }) => `${folder.locations.get(weight)?.name} ${layout}`,
    );
    // The plain device computes the head as one; no family does.
    seen.delete(`${folder.locations.get(folder.architecture.head.weight)?.name} out-in`);
    expect([...seen].toSorted()).toStrictEqual(known.toSorted());
  });
});

const settings: MezoSettings = {
  steps: 8,
  batchSize: 3,
  learningRate: 0.05,
  epsilon: 0.01,
  weightDecay: 0,
  noise: "rademacher",
  seed: 3,
};
const lora: LoraHeader = { rank: 2, alpha: 4, seed: 3 };
const rows: EncodedRow[] = Array.from({ length: 7 }, (_, i) => {
  const ids = Array.from({ length: 4 + i }, (__, j) => (i * 13 + j * 7) % 64);
  return encodeRow(null, { input_ids: ids, labels: ids.map((id, j) => (j < 2 ? -100 : id)) });
});

async function loadSeeded(path: string, device: Device, noise = settings.noise) {
  const folder = await openModelFolder(path);
  const adapter = seededLora(targetedModules(folder.architecture, []), lora);
  return loadModel(folder, device, noise, { adapter });
}

async function trained(path: string, device: Device, changes: Partial<MezoSettings> = {}) {
  const chosen = { ...settings, ...changes };
  const model = await loadSeeded(path, device, chosen.noise);
  const entries: LogEntry[] = [];
  for await (const step of train(model, tokenLoss(rows), chosen, beginning)) entries.push(...step.entries);
  const header = logHeader(await baseHash(model.folder), model, chosen, { lora });
  return { model, log: decodeStepLog(encodeEntries(header, entries)) };
}

function rebuild(base: StepLog, folder: Awaited<ReturnType<typeof openModelFolder>>, out: string, merge = false) {
  return reconstruct({ base: folder, log: base, out, device: plain, verify: "all", replace: false, merge });
}

describe("a trained adapter", () => {
  const cases = devices.flatMap((device) =>
    (["F32", "BF16"] as const).flatMap((dtype) =>
      (["normal", "rademacher"] as const).map((noise) => ({ device, name: device.name, dtype, noise })),
    ),
  );

  test.each(cases)("is rebuilt from its log, byte by byte: $name, $dtype base, $noise", async (kind) => {
    const path = await randomModel(kind.dtype);
    const { model, log } = await trained(path, kind.device, { noise: kind.noise, weightDecay: 0.1 });
    const out = join(await scratch(), "adapter");
    const { digest, verified } = await rebuild(log, model.folder, out);
    expect(digest).toBe(await model.digest());
    const of = model.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(verified).toStrictEqual({ replayed: of, of });
    expect((await readdir(out)).toSorted()).toStrictEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "steplog.json",
    ]);
    const adapter = await openAdapter(out, model.folder.architecture);
    const read = await loadModel(model.folder, createPlainDevice(), "normal", { adapter });
    for (const { name } of model.trainable) {
      const same = Buffer.compare(await read.read(name), await model.read(name)) === 0;
      expect({ name, same }).toStrictEqual({ name, same: true });
    }
  });

  test("starts equal to its base, bit for bit, changes with training, and leaves the base unchanged", async () => {
    const path = await randomModel();
    const base = await loadModel(await openModelFolder(path), plain, "normal");
    const { model } = await trained(path, plain, { steps: 0 });
    expect(await model.losses(rows)).toStrictEqual(await base.losses(rows));
    const { model: after } = await trained(path, plain);
    expect(await after.losses(rows)).not.toStrictEqual(await base.losses(rows));
    expect(() => after.read("model.decoder.layers.0.self_attn.q_proj.weight")).toThrow(/trained tensor/u);
  });

  test("computes the same when merged into its base", async () => {
    const { model, log } = await trained(await randomModel(), plain);
    const out = join(await scratch(), "merged");
    await rebuild(log, model.folder, out, true);
    expect(await readdir(out)).toContain("config.json");
    const merged = await loadModel(await openModelFolder(out), plain, "normal");
    const [seen, expected] = [await merged.losses(rows), await model.losses(rows)];
    expected.forEach((loss, i) => expect(Math.abs((seen[i] ?? NaN) - loss)).toBeLessThan(1e-5));
    const base = await loadModel(model.folder, plain, "normal");
    const before = await base.losses(rows);
    expect(Math.max(...before.map((loss, i) => Math.abs((seen[i] ?? NaN) - loss)))).toBeGreaterThan(1e-3);
  });

  test("is written as peft writes an adapter of the same layers", async () => {
    const path = golden("hf", "llama");
    const folder = await openModelFolder(path);
    const adapter = seededLora(targetedModules(folder.architecture, []), { rank: 4, alpha: 8, seed: 0 });
    const model = await loadModel(folder, plain, "rademacher", { adapter });
    const header = logHeader(await baseHash(folder), model, settings, adapter.header);
    const out = join(await scratch(), "adapter");
    await rebuild(decodeStepLog(encodeEntries(header, [{ seed: 1n, scalar: 0.5 }])), folder, out);
    const reference = `${path}/adapter`;
    const listed = async (of: string) =>
      (await readSafetensorsHeader(`${of}/adapter_model.safetensors`))
        .map(({ name, dtype, shape }) => `${name} ${dtype} ${shape.join()}`)
        .toSorted();
    expect(await listed(out)).toStrictEqual(await listed(reference));
    const config = async (of: string) =>
      JSON.parse(await readFile(`${of}/adapter_config.json`, "utf8")) as Record<string, unknown>;
    const { base_model_name_or_path: _, ...written } = await config(out);
    expect(await config(reference)).toMatchObject(written);
  });
});

test.each(
  JSON.parse(readFileSync(golden("adapter-init.json"), "utf8")) as {
    module: string;
    seed: number;
    inputs: number;
    bits: string[];
  }[],
)("A of $module begins with the known bits", async ({ module: name, seed, inputs, bits }) => {
  const layer = { name, weight: `${name}.weight`, layout: "out-in", inputs, outputs: 2 } as const;
  const adapter = seededLora([layer], { rank: 2, alpha: 4, seed });
  const [a, b] = adapter.modules.flatMap((module) => [module.a, module.b]);
  if (!a || !b) throw new Error("an adapter has two tensors");
  const words = new Uint32Array((await adapter.read(a)).buffer);
  expect(words.length).toBe(2 * inputs);
  expect(Array.from(words.subarray(0, bits.length), (word) => word.toString(16).padStart(8, "0"))).toStrictEqual(bits);
  const values = new Float32Array(words.buffer);
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(Math.fround(1 / Math.sqrt(inputs)));
  expect((await adapter.read(b)).every((byte) => byte === 0)).toBe(true);
});

describe("targets", () => {
  const names = async (model: string, targets: string[]) =>
    targetedModules((await openModelFolder(golden("hf", model))).architecture, targets).map(({ name }) => name);

  test.each([
    ["llama", [], ["self_attn.q_proj", "self_attn.v_proj"]],
    ["gpt2", [], ["attn.c_attn"]],
    ["phi3", [], ["self_attn.qkv_proj"]],
    ["roberta", [], ["attention.self.query", "attention.self.value"]],
    ["llama", ["mlp.*_proj"], ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]],
    ["llama", ["o_proj"], ["self_attn.o_proj"]],
  ])("of %s: %j", async (model, targets, expected) => {
    const parts = new Set((await names(model, targets)).map((name) => name.split(".").slice(3).join(".")));
    const masked = new Set([...parts].map((part) => part.replace(/^\d+\./u, "")));
    expect([...masked].toSorted()).toStrictEqual(expected.toSorted());
  });

  test("a whole name is one layer", async () => {
    const name = "model.layers.1.self_attn.q_proj";
    expect(await names("llama", [name])).toStrictEqual([name]);
  });

  test.each(["query", "_proj", "lm_head", "q.proj"])(
    "%s, which a Llama has not, is refused by name",
    async (target) => {
      await expect(names("llama", ["q_proj", target])).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining("q_proj, k_proj, v_proj") as unknown,
        issues: [{ field: "hyperparameters.loraTargets[1]" }],
      });
    },
  );
});

describe("an adapter's folder is refused", () => {
  const damaged = async (change: (folder: string) => Promise<void>) => {
    const folder = join(await scratch(), "adapter");
    await cp(golden("hf/llama/adapter"), folder, { recursive: true });
    await change(folder);
    return openAdapter(folder, (await openModelFolder(golden("hf/llama"))).architecture);
  };
  const edited = (change: object) =>
    damaged(async (folder) => {
      const path = join(folder, "adapter_config.json");
      const config = JSON.parse(await readFile(path, "utf8")) as object;
      await writeFile(path, JSON.stringify({ ...config, ...change }));
    });

  test.each([
    ["peft_type", "IA3"],
    ["bias", "all"],
    ["use_dora", true],
    ["modules_to_save", ["lm_head"]],
    ["trainable_token_indices", [1]],
    ["layer_replication", [[0, 1]]],
    ["init_lora_weights", "pissa"],
    ["something_new", { a: 1 }],
  ])("with %s = %j, naming the field", async (field, value) => {
    await expect(edited({ [field]: value })).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED", issues: [{ field }] });
  });

  test("with a config that is wrong", async () => {
    await expect(edited({ lora_alpha: "8" })).rejects.toMatchObject({
      code: "MODEL_INVALID",
      issues: [{ field: "lora_alpha" }],
    });
  });

  test("without a config", async () => {
    const empty = await scratch();
    const { architecture } = await openModelFolder(golden("hf/llama"));
    await expect(openAdapter(empty, architecture)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test.each(["opt", "gpt2", "phi3"])("of another model (%s)", async (model) => {
    const { architecture } = await openModelFolder(golden("hf", model));
    await expect(openAdapter(golden("hf/llama/adapter"), architecture)).rejects.toMatchObject({
      code: "MODEL_INVALID",
    });
  });

  test("but rank-stabilised scales and patterns of alpha are peft's", async () => {
    const adapter = await edited({ use_rslora: true, alpha_pattern: { "layers.0.self_attn.q_proj": 3 } });
    const scales = (adapter.kind === "lora" ? adapter.modules : []).map(({ scale }) => scale);
    expect(new Set(scales)).toStrictEqual(new Set([3 / 2, 8 / 2]));
    expect(scales.filter((scale) => scale === 1.5)).toHaveLength(1);
  });
});

describe("a log is refused", () => {
  test("whose adapter does not fit the base, or lacks a half", async () => {
    const { model, log } = await trained(await randomModel(), plain, { steps: 1 });
    const changed = (trainable: typeof log.header.trainable) => () =>
      adapterOfLog(model.folder, { ...log.header, trainable });
    const [first, ...others] = log.header.trainable;
    if (!first) throw new Error("the log trains something");
    const invalid = (name: string) =>
      expect.objectContaining({ code: "LOG_INVALID", issues: [expect.objectContaining({ field: name })] }) as Error;
    expect(changed(others)).toThrow(invalid(first.name));
    expect(changed([{ ...first, shape: [1, 1] }, ...others])).toThrow(invalid(first.name));
    expect(changed([{ ...first, name: "other" }, ...others])).toThrow(invalid("other"));
    expect(changed([{ ...first, dtype: "BF16" }, ...others])).toThrow(invalid(first.name));
  });

  test("when a merge is requested and it trains the model itself", async () => {
    const folder = await openModelFolder(await randomModel());
    const model = await loadModel(folder, plain, "rademacher");
    const header = logHeader(await baseHash(folder), model, settings);
    const log = decodeStepLog(encodeEntries(header, []));
    const out = join(await scratch(), "out");
    await expect(rebuild(log, folder, out, true)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await mkdir(out);
    expect(await readdir(out)).toStrictEqual([]);
  });
});
