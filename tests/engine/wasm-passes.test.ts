/** What a step on the wasm backend of TensorFlow.js has on its heap. */
import { expect, test } from "vitest";
import type { WasmSizes } from "../../engine/devices/wasm/wasm.ts";
import { createWasmDevice } from "../../engine/devices/wasm/wasm.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { randomModel } from "../support/models.ts";

const rows = Array.from({ length: 24 }, (_, i) => {
  const ids = Int32Array.from({ length: 12 }, (__, t) => 5 + ((i + t) % 7));
  return { ids, positions: Int32Array.of(11), targets: Int32Array.of(9) };
});

/** Tensors more than before, after each of three steps, and bytes of the device's tensors at the peak of all. */
async function steps(layers: number, sizes: WasmSizes): Promise<{ tensors: number[]; peak: number }> {
  const device = await createWasmDevice(sizes);
  // Devices of other tests share the heap.
  const before = device.tensors();
  const folder = await openModelFolder(await randomModel("F32", { ffn_dim: 256, num_hidden_layers: layers }));
  const model = await loadModel(folder, device, "rademacher");
  const tensors: number[] = [];
  for (const seed of [1n, 2n, 3n]) {
    await model.sideLosses(rows, { seed, size: 1e-3, noise: "rademacher" });
    model.update([{ seed, scalar: 1e-3 }]);
    tensors.push(device.tensors() - before);
  }
  model.free();
  device.dispose();
  return { tensors, peak: device.peakBytes() };
}

test("a step has as much on the heap with 12 layers as with 4, by rows at a time, and leaves nothing there", async () => {
  const sizes = { cellElements: 2 ** 12, heldBytes: 2 ** 16 };
  const few = await steps(4, sizes);
  const many = await steps(12, sizes);
  const atOnce = await steps(4, { cellElements: 2 ** 20, heldBytes: 2 ** 16 });
  expect(few.tensors).toEqual([0, 0, 0]);
  expect(many.tensors).toEqual([0, 0, 0]);
  expect(many.peak).toBe(few.peak);
  // A feed-forward layer of one side alone, with all rows.
  expect(atOnce.peak).toBeGreaterThan(rows.length * 12 * 256 * 4);
  expect(few.peak).toBeLessThan(atOnce.peak / 2);
});
