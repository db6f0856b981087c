/** What a step on TensorFlow costs: operations, bytes to and from the device, tensors. */
import { describe, expect, test } from "vitest";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import type { TensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { randomModel } from "../support/models.ts";
import { devicesDir, isSkipped } from "../support/open-devices.ts";

const llama = {
  model_type: "llama",
  intermediate_size: 32,
  num_key_value_heads: 1,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  initializer_range: 0.2,
};
const rows = [7, 3, 7].map((length) => {
  const ids = Int32Array.from({ length }, (_, i) => 5 + i);
  return { ids, positions: Int32Array.of(length - 1), targets: Int32Array.of(9) };
});

describe.skipIf(await isSkipped("tfjs-tensorflow"))("a step on TensorFlow", () => {
  async function opened(config: object): Promise<{ device: TensorflowDevice; model: Model }> {
    const device = createTensorflowDevice(devicesDir);
    const folder = await openModelFolder(await randomModel("F32", config));
    return { device, model: await loadModel(folder, device, "normal") };
  }

  const step = (model: Model, seed: bigint) => model.sideLosses(rows, { seed, size: 1e-3, noise: "normal" });

  /** Operations of an unperturbed pass and of a perturbed one. */
  async function operations(config: object): Promise<{ plain: number; perturbed: number }> {
    const { device, model } = await opened(config);
    const before = device.operations();
    await model.losses(rows);
    const plain = device.operations() - before;
    await step(model, 1n);
    const perturbed = device.operations() - before - plain;
    device.dispose();
    return { plain, perturbed };
  }

  // Counted on the processor. Of an unperturbed layer, 6 products and 6 biases, 2 norms of 8 and 22 operations of attention are
  // what OPT needs for one block of rows; a perturbed one has them twice, and 7 to 13 for the noise of each of its 16 weights.
  // Few rows, as here, are the second factor of a product, whose result is transposed: one more for each product.
  test.each([
    { name: "OPT", config: {}, plain: 70, perturbed: 330 },
    { name: "Llama", config: llama, plain: 80, perturbed: 270 },
  ])("runs few operations for each layer of $name", async ({ config, plain, perturbed }) => {
    const few = await operations({ ...config, num_hidden_layers: 2 });
    const more = await operations({ ...config, num_hidden_layers: 3 });
    expect(more.plain - few.plain).toBeLessThanOrEqual(plain);
    expect(more.perturbed - few.perturbed).toBeLessThanOrEqual(perturbed);
  });

  test("copies the batch to the device and the losses back, and holds as many tensors as before", async () => {
    const { device, model } = await opened({});
    const tensors = new Set<number>();
    const traffic = new Set<string>();
    for (let k = 0; k < 20; k++) {
      const before = device.traffic();
      await step(model, BigInt(k));
      model.update([{ seed: BigInt(k), scalar: 1e-3 }]);
      const { up, down } = device.traffic();
      if (k > 1) traffic.add(`${up - before.up} ${down - before.down}`);
      if (k > 1) tensors.add(device.tensors());
    }
    expect(tensors.size).toBe(1);
    expect([...traffic]).toHaveLength(1);
    const [up = NaN, down = NaN] = [...traffic][0]?.split(" ").map(Number) ?? [];
    expect(down).toBe(2 * rows.length * 4);
    // The batch, and keys and counters of the noise of each weight.
    expect(up).toBeLessThan(10_000);
    device.dispose();
  });
});
