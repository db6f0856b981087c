/** Runs the operations of the families once, so that TensorFlow's log tells which processor each ran on (placement.ts). */
import type { Device, WeightDtype } from "../../engine/devices/device.ts";
import { loadModel } from "../../engine/model/model.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { ruleSeed } from "../../schema/step-log.ts";
import { configNamed } from "../configs.ts";
import { openDevice } from "../device.ts";
import { randomRows } from "../model.ts";
import { fillingDevice, modelInMemory } from "./in-memory.ts";

/** Small models: between them layer norm and RMS norm, learned and rotary positions, grouped heads, and three activations. */
export async function smallConfigs(): Promise<readonly object[]> {
  const gpt2 = { ...(await configNamed("gpt2")), n_embd: 64, n_head: 4, n_layer: 1, n_positions: 64, vocab_size: 512 };
  const sizes = { hidden_size: 64, intermediate_size: 128, num_hidden_layers: 1, vocab_size: 512 };
  const llama = { ...(await configNamed("llama-3.2-1b")), ...sizes, head_dim: 16, num_attention_heads: 4 };
  return [await configNamed("tiny"), gpt2, { ...llama, num_key_value_heads: 2 }];
}

/** Returns the number of passes and updates that ran. */
export async function runEveryOperation(deviceName: string): Promise<{ runs: number }> {
  const device = await openDevice({ device: deviceName });
  let runs = 0;
  for (const config of await smallConfigs()) {
    for (const dtype of ["F32", "BF16"] as const) {
      for (const noise of ["normal", "rademacher"] as const) {
        await runModel(device, config, dtype, noise);
        runs += 1;
      }
    }
  }
  device.dispose();
  return { runs };
}

/** A perturbed pass, an update, weights read back, and two tokens of a text, in every precision. */
export async function runModel(device: Device, config: object, dtype: WeightDtype, noise: Noise): Promise<void> {
  const folder = modelInMemory(config, dtype);
  for (const precision of device.precisions) {
    const model = await loadModel(folder, fillingDevice(device, folder), noise, { precision });
    const rows = [...randomRows(512, 2, 9, 3), ...randomRows(512, 1, 5, 2)];
    await model.perturbedLosses(rows, { seed: 1n, size: 2 ** -10, noise });
    model.update([{ seed: ruleSeed(1, 0), scalar: 2 ** -10, decay: 1 - 2 ** -10 }]);
    await model.digest();
    const text = model.continuation();
    await text.next(Int32Array.of(5, 6, 7));
    await text.next(Int32Array.of(8));
    text.end();
    model.free();
  }
}
