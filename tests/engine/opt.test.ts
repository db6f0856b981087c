import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { scoreRows } from "../../engine/evaluate.ts";
import { generate } from "../../engine/generate.ts";
import { openModelFolder } from "../../engine/model/folder.ts";
import { configureModel } from "../../engine/model/families.ts";
import { loadModel } from "../../engine/model/model.ts";
import { openDevices } from "../support/open-devices.ts";
import { golden, tinyConfig } from "../support/models.ts";

interface Expected {
  input_ids: number[][];
  labels: number[][];
  lengths: number[];
  loss_float64: number;
  nll: { row: number; nll: number }[];
  logits: { row: number; pos: number; values: number[] }[];
  greedy: { prompt: number[]; tokens: number[] }[];
}

const devices = await openDevices();

describe.each(["opt", "opt-postnorm-proj"])("the golden model %s", (name) => {
  const path = golden("hf", name);
  const expected = JSON.parse(readFileSync(`${path}/expected.json`, "utf8")) as Expected;
  const unpadded = expected.lengths.map((length, row) =>
    encodeRow(null, {
      input_ids: expected.input_ids[row]?.slice(0, length) ?? [],
      labels: expected.labels[row]?.slice(0, length) ?? [],
    }),
  );
  const padded = expected.input_ids.map((ids, row) =>
    encodeRow(null, { input_ids: ids, labels: expected.labels[row] ?? [] }),
  );

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
        const ids = Int32Array.from(expected.input_ids[row]?.slice(0, pos + 1) ?? []);
        const logits = await model.nextLogits(ids);
        values.forEach((value, i) => expect(Math.abs((logits[i] ?? NaN) - value)).toBeLessThan(1e-4));
      }
    });

    test("continues as transformers does", async () => {
      const model = await loadModel(await openModelFolder(path), device, "normal");
      for (const { prompt, tokens } of expected.greedy) {
        expect(await generate(model, prompt, tokens.length)).toStrictEqual(tokens);
      }
    });
  });

  test("reads the config of hub checkpoints alike", () => {
    const config = (file: string): unknown => JSON.parse(readFileSync(`${path}/${file}`, "utf8"));
    const [now, then] = [configureModel(config("config.json")), configureModel(config("config_v4.json"))];
    expect(then.tensors).toStrictEqual(now.tensors);
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
    ["without a size", { hidden_size: undefined }, "hidden_size", "MODEL_INVALID"],
    ["with a size that is not one", { ffn_dim: "many" }, "ffn_dim", "MODEL_INVALID"],
    ["with heads that do not divide its size", { num_attention_heads: 3 }, "hidden_size", "MODEL_INVALID"],
  ])("%s", (_, change, field, code) => {
    expect(() => configureModel({ ...tinyConfig, ...change })).toThrow(
      expect.objectContaining({ code, issues: [expect.objectContaining({ field })] }),
    );
  });
});
