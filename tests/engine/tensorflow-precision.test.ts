/** Products in bfloat16 on TensorFlow, which it makes on any processor; only those with instructions for it offer them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { defaultSizes } from "../../engine/devices/tensorflow/pass.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { mean } from "../../engine/numbers/mean.ts";
import { golden, randomModel } from "../support/models.ts";
import { devicesDir, isSkipped } from "../support/open-devices.ts";

/** Few rows are enough for a weight to be transposed. */
const sizes = { ...defaultSizes(false), transposedRows: 4 };
const able = { precisions: ["float32", "bfloat16"] } as const;

describe.skipIf(await isSkipped("tfjs-tensorflow"))("bfloat16 products on TensorFlow", () => {
  test.each(["opt", "gpt2", "llama", "qwen2", "gemma2"])("move the loss of %s by less than 5e-3", async (name) => {
    const expected = JSON.parse(readFileSync(golden("hf", name, "expected.json"), "utf8")) as {
      input_ids: number[][];
      labels: number[][];
      loss_float64: number;
    };
    const rows = expected.input_ids.map((ids, row) =>
      encodeRow(null, { input_ids: ids, labels: expected.labels[row] ?? [] }),
    );
    const device = createTensorflowDevice(devicesDir, null, able);
    const folder = await openModelFolder(golden("hf", name));
    const losses: number[] = [];
    for (const precision of ["float32", "bfloat16"] as const) {
      const model = await loadModel(folder, device, "normal", { precision });
      losses.push(mean([...(await model.losses(rows))]));
      model.free();
    }
    device.dispose();
    const [single = NaN, half = NaN] = losses;
    expect(Math.abs(half / expected.loss_float64 - 1)).toBeLessThan(5e-3);
    expect(half).not.toBe(single);
  });

  test.each([
    { dtype: "F32", pieceElements: 128 },
    { dtype: "F32", pieceElements: 2 ** 22 },
    { dtype: "BF16", pieceElements: 128 },
    { dtype: "BF16", pieceElements: 2 ** 22 },
  ] as const)(
    "differ a little on both sides, and hold nothing: $dtype, pieces of $pieceElements",
    async ({ dtype, pieceElements }) => {
      const device = createTensorflowDevice(devicesDir, null, { ...able, pieceElements, sizes });
      const folder = await openModelFolder(await randomModel(dtype, {}));
      const perturbation = { seed: 7n, size: 1e-3, noise: "normal" } as const;
      const sides: Float64Array[] = [];
      for (const precision of ["float32", "bfloat16"] as const) {
        const model = await loadModel(folder, device, "normal", { precision });
        const counts = new Set<number>();
        for (let i = 0; i < 4; i++) {
          const losses = await model.sideLosses(rows, perturbation);
          if (i === 0) sides.push(Float64Array.from(losses.flatMap((side) => [...side])));
          if (i > 0) counts.add(device.tensors());
        }
        expect(counts.size).toBe(1);
        model.free();
      }
      device.dispose();
      const [single, half] = sides;
      expect(half).not.toEqual(single);
      half?.forEach((loss, i) => expect(Math.abs(loss / (single?.[i] ?? NaN) - 1)).toBeLessThan(2e-2));
    },
  );
});

const rows = [7, 3, 7].map((length) => {
  const ids = Int32Array.from({ length }, (_, i) => 5 + i);
  return { ids, positions: Int32Array.of(length - 1), targets: Int32Array.of(9) };
});
