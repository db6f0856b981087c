import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { scoreRows } from "../../engine/objective/evaluate.ts";
import { generate } from "../../engine/generation/generate.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { configureModel } from "../../engine/model/families/all.ts";
import { loadModel } from "../../engine/model/model.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { modelKindOf } from "../../schema/model-kind.ts";
import { openDevices } from "../support/open-devices.ts";
import { golden, goldenModels, tinyConfig } from "../support/models.ts";

/** What transformers computes for a golden model (tests/golden/README.md). */
interface Expected {
  kind: "causal_lm" | "masked_lm";
  input_ids: number[][];
  labels: number[][];
  lengths: number[];
  loss_float64: number;
  nll: { row: number; nll: number }[];
  logits: { row: number; pos: number; values: number[] }[];
  /** Of causal models. */
  greedy?: { prompt: number[]; tokens: number[] }[];
}

const devices = await openDevices();
const plain = createPlainDevice();

describe.each(goldenModels)("the golden model %s", (name) => {
  const path = golden("hf", name);
  const expected = JSON.parse(readFileSync(`${path}/expected.json`, "utf8")) as Expected;
  const kind = expected.kind === "causal_lm" ? "causal" : "masked";
  const encode = (row: number, length?: number) => {
    const [ids, labels] = [expected.input_ids[row] ?? [], expected.labels[row] ?? []];
    return encodeRow(null, { input_ids: ids.slice(0, length), labels: labels.slice(0, length) }, kind);
  };
  const unpadded = expected.lengths.map((length, row) => encode(row, length));
  const padded = expected.lengths.map((_, row) => encode(row));

  describe.each(devices)("on $name", (device) => {
    test.each([
      ["unpadded", unpadded],
      ["padded", padded],
    ])("has the losses of transformers, %s", async (_, rows) => {
      const model = await loadModel(await openModelFolder(path), device, "normal");
      const losses = await model.losses(rows);
      expect(losses.length).toBe(expected.nll.length);
      expected.nll.forEach(({ nll }, i) => expect(Math.abs((losses[i] ?? NaN) - nll)).toBeLessThan(1e-4));
      const scores = await scoreRows(model, rows);
      const mean = scores.reduce((sum, row) => sum + row.loss * row.tokens, 0) / losses.length;
      expect(Math.abs(mean - expected.loss_float64)).toBeLessThan(1e-5);
    });

    test("has the logits of transformers", async () => {
      const model = await loadModel(await openModelFolder(path), device, "normal");
      for (const { row, pos, values } of expected.logits) {
        const ids = Int32Array.from(expected.input_ids[row] ?? []);
        const logits = await model.logits(ids, Int32Array.of(pos));
        values.forEach((value, i) => expect(Math.abs((logits[i] ?? NaN) - value)).toBeLessThan(1e-4));
      }
    });

    test("continues text like transformers, and refuses masked models and texts that are too long", async () => {
      const model = await loadModel(await openModelFolder(path), device, "normal");
      for (const { prompt, tokens } of expected.greedy ?? []) {
        expect(await generate(model, prompt, tokens.length)).toStrictEqual(tokens);
      }
      const refused = { code: expected.greedy ? "INVALID_ARGUMENT" : "MODEL_UNSUPPORTED" };
      await expect(generate(model, [1], model.folder.architecture.contextLength)).rejects.toMatchObject(refused);
    });
  });

  test("has the kind that the gateway derives from its family", async () => {
    const { family } = (await openModelFolder(path)).architecture;
    expect(modelKindOf(family)).toBe(kind);
  });

  test("has the same losses with the config that hub checkpoints have", async () => {
    const folder = await openModelFolder(path);
    const hub: unknown = JSON.parse(readFileSync(`${path}/config_v4.json`, "utf8"));
    const model = await loadModel(folder, plain, "normal");
    const other = await loadModel({ ...folder, architecture: configureModel(hub) }, plain, "normal");
    expect(await other.losses(unpadded)).toStrictEqual(await model.losses(unpadded));
  });
});

describe("a config is refused, naming the field,", () => {
  test.each([
    ["of another family", { model_type: "mamba" }, "model_type", "MODEL_UNSUPPORTED"],
    ["without a family", { model_type: undefined }, "model_type", "MODEL_UNSUPPORTED"],
    [
      "with an activation not implemented",
      { activation_function: "xielu" },
      "activation_function",
      "MODEL_UNSUPPORTED",
    ],
    ["that is quantised", { quantization_config: { bits: 4 } }, "quantization_config", "MODEL_UNSUPPORTED"],
    ["with no size", { hidden_size: null }, "hidden_size", "MODEL_INVALID"],
    ["with more layers than any model", { num_hidden_layers: 1e9 }, "num_hidden_layers", "MODEL_INVALID"],
    ["that attends to later tokens", { is_causal: false }, "is_causal", "MODEL_UNSUPPORTED"],
    ["with heads taken out", { pruned_heads: { "0": [1] } }, "pruned_heads", "MODEL_UNSUPPORTED"],
    ["with weights elsewhere", { transformers_weights: "x.safetensors" }, "transformers_weights", "MODEL_UNSUPPORTED"],
    ["with a size that is not one", { ffn_dim: "many" }, "ffn_dim", "MODEL_INVALID"],
    ["with heads that do not divide its size", { num_attention_heads: 3 }, "hidden_size", "MODEL_INVALID"],
  ])("%s", (_, change, field, code) => {
    expect(() => configureModel({ ...tinyConfig, ...change })).toThrow(
      expect.objectContaining({ code, issues: [expect.objectContaining({ field })] }),
    );
  });
});

function goldenConfig(name: string): object {
  return JSON.parse(readFileSync(golden("hf", name, "config.json"), "utf8")) as object;
}

describe("a config is refused, naming the field, if the family supports a value and Steplog does not:", () => {
  test.each([
    ["gpt2", "add_cross_attention", true, "MODEL_UNSUPPORTED"],
    ["gpt2", "n_embd", 33, "MODEL_INVALID"],
    ["llama", "hidden_act", "relu2", "MODEL_UNSUPPORTED"],
    ["llama", "num_key_value_heads", 3, "MODEL_INVALID"],
    ["llama", "layer_types", ["full_attention", "sliding_attention"], "MODEL_UNSUPPORTED"],
    ["mistral", "layer_types", ["full_attention"], "MODEL_INVALID"],
    ["qwen2", "layer_types", ["full_attention", "linear_attention"], "MODEL_UNSUPPORTED"],
    ["qwen2", "layer_types", ["full_attention"], "MODEL_INVALID"],
    ["phi3", "attention_bias", true, "MODEL_UNSUPPORTED"],
    ["gemma2", "use_bidirectional_attention", true, "MODEL_UNSUPPORTED"],
    ["gemma3", "attn_logit_softcapping", 50, "MODEL_UNSUPPORTED"],
    ["gemma3", "rope_parameters", { chunked_attention: {} }, "MODEL_INVALID"],
    ["gemma3", "head_dim", 2 ** 24, "MODEL_INVALID"],
    ["llama", "head_dim", 2 ** 24, "MODEL_INVALID"],
    ["roberta", "is_decoder", true, "MODEL_UNSUPPORTED"],
    ["roberta", "position_embedding_type", "relative_key", "MODEL_UNSUPPORTED"],
    ["roberta", "tie_word_embeddings", false, "MODEL_UNSUPPORTED"],
    ["roberta", "max_position_embeddings", 2, "MODEL_INVALID"],
  ])("%s, %s = %j", (name, field, value, code) => {
    expect(() => configureModel({ ...goldenConfig(name), [field]: value })).toThrow(
      expect.objectContaining({ code, issues: [expect.objectContaining({ field })] }),
    );
  });
});

describe("missing fields have the defaults of the family's class:", () => {
  const without = (name: string, ...fields: string[]) => {
    const config = Object.entries(goldenConfig(name)).filter(([field]) => !fields.includes(field));
    return configureModel(Object.fromEntries(config));
  };
  const names = (name: string, ...fields: string[]) => without(name, ...fields).tensors.map((tensor) => tensor.name);

  test.each(["gpt2", "opt", "gemma2", "gemma3"])("%s ties its head", (name) => {
    expect(names(name, "tie_word_embeddings")).not.toContain("lm_head.weight");
  });

  test.each(["llama", "mistral", "qwen2", "qwen3", "phi3"])("%s does not", (name) => {
    expect(names(name, "tie_word_embeddings")).toContain("lm_head.weight");
  });

  test("llama has as many key heads as heads, and heads that divide its width", () => {
    const { tensors } = without("llama", "num_key_value_heads", "head_dim");
    expect(tensors).toContainEqual({
      name: "model.layers.0.self_attn.k_proj.weight",
      shape: [32, 32],
      init: "normal",
      linear: "out-in",
    });
  });

  test("gpt2 has an inner layer four times as wide", () => {
    expect(without("gpt2", "n_inner").tensors).toContainEqual({
      name: "transformer.h.0.mlp.c_fc.weight",
      shape: [32, 128],
      init: "normal",
      linear: "in-out",
    });
  });
});
