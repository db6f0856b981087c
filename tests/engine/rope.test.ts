/** Rotary frequencies of every rope type, as transformers computes them from the same config, and what is refused. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Activation, Pass, RotaryShape } from "../../engine/devices/device.ts";
import { generate } from "../../engine/generation/generate.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { configureModel } from "../../engine/model/families/all.ts";
import { loadModel } from "../../engine/model/model.ts";
import { golden, randomModel } from "../support/models.ts";

interface Golden {
  cases: { name: string; config: object; length: number; frequencies: number[]; scale: number }[];
}

const { cases } = JSON.parse(readFileSync(golden("rope-frequencies.json"), "utf8")) as Golden;

const sizes = { vocab_size: 16, intermediate_size: 8, num_hidden_layers: 1 };

test.each(cases)("$name", ({ config, length, frequencies, scale }) => {
  const shapes = rotations({ ...sizes, ...config }, length);
  expect(shapes).toHaveLength(2);
  for (const shape of shapes) {
    expect(shape.scale).toBeCloseTo(scale, 6);
    expect(shape.frequencies).toHaveLength(frequencies.length);
    frequencies.forEach((frequency, pair) => expect((shape.frequencies[pair] ?? NaN) / frequency).toBeCloseTo(1, 5));
  }
});

/** How a model rotates its queries and keys. */
function rotations(config: object, length: number): RotaryShape[] {
  const shapes: RotaryShape[] = [];
  const architecture = configureModel(config);
  const like = (rows: number, columns: number): Activation => ({ rows, columns });
  const same = (x: Activation) => x;
  const pass: Pass = {
    embed: (table, ids) => like(ids.length, table.shape[1] ?? 0),
    add: same,
    multiply: same,
    scale: same,
    slice: (x, _first, count) => like(x.rows, count),
    layerNorm: same,
    rmsNorm: same,
    rotate(x, shape) {
      shapes.push(shape);
      return x;
    },
    linear: (x, weight) => like(x.rows, weight.shape[0] ?? 0),
    addLowRank: same,
    attention: same,
    activate: same,
    gather: (x, index) => like(index.length, x.columns),
    losses: () => Promise.resolve(new Float64Array()),
    logits: () => Promise.resolve(new Float32Array()),
    end() {},
  };
  const weight = (name: string) => {
    const definition = architecture.tensors.find((tensor) => tensor.name === name);
    return { name, shape: definition?.shape ?? [], dtype: "F32", trainable: false, device: "none" } as const;
  };
  architecture.forward(pass, weight, { ids: new Int32Array(length), lengths: [length] }, Int32Array.of(length - 1));
  return shapes;
}

const llama = {
  ...sizes,
  model_type: "llama",
  hidden_size: 32,
  num_attention_heads: 4,
  max_position_embeddings: 64,
};

describe("a config is refused, naming the field,", () => {
  test.each([
    ["of an unknown type", { rope_scaling: { type: "mrope" } }, "rope_scaling.rope_type", "MODEL_UNSUPPORTED"],
    [
      "of an unknown type in rope_parameters",
      { rope_parameters: { rope_type: "proportional" } },
      "rope_parameters.rope_type",
      "MODEL_UNSUPPORTED",
    ],
    [
      "with a rope for each type of layer",
      { rope_parameters: { full_attention: { rope_type: "default" } } },
      "rope_parameters.full_attention",
      "MODEL_UNSUPPORTED",
    ],
    ["without a factor", { rope_scaling: { type: "linear" } }, "rope_scaling.factor", "MODEL_INVALID"],
    ["with a theta that is none", { rope_theta: -1 }, "rope_theta", "MODEL_INVALID"],
    ["that turns part of a head", { partial_rotary_factor: 0.5 }, "partial_rotary_factor", "MODEL_UNSUPPORTED"],
    [
      "with too few factors",
      { model_type: "phi3", rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      "rope_scaling.short_factor",
      "MODEL_INVALID",
    ],
    [
      "of another type, for Phi-3",
      { model_type: "phi3", rope_scaling: { type: "linear", factor: 2 } },
      "rope_scaling.rope_type",
      "MODEL_UNSUPPORTED",
    ],
  ])("%s", (_, change, field, code) => {
    expect(() => configureModel({ ...llama, ...change })).toThrow(
      expect.objectContaining({
        code,
        issues: expect.arrayContaining([expect.objectContaining({ field })]) as unknown,
      }),
    );
  });
});

test("a text that grows beyond the short factors of longrope continues as if it had been read at once", async () => {
  const path = await randomModel("F32", {
    ...llama,
    model_type: "phi3",
    vocab_size: 64,
    num_hidden_layers: 2,
    original_max_position_embeddings: 8,
    initializer_range: 0.4,
    rope_theta: 100,
    rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 3, 9, 27] },
  });
  const model = await loadModel(await openModelFolder(path), createPlainDevice(), "normal");
  const prompt = [3, 1, 4, 1, 5, 9];
  const tokens = await generate(model, prompt, 8);
  expect(prompt.length + tokens.length).toBeGreaterThan(10);
  for (const [count, token] of tokens.entries()) {
    const ids = Int32Array.from([...prompt, ...tokens.slice(0, count)]);
    const logits = await model.logits(ids, Int32Array.of(ids.length - 1));
    expect(logits.indexOf(Math.max(...logits))).toBe(token);
  }
});
