/**
 * The memory of training on TensorFlow, in processes of their own: what a step needs beside the weights does not grow with the
 * number of layers, and a thousand steps leave nothing behind. STEPLOG_DEVICES names the folder with tfjs-cpu or tfjs-gpu.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { configNamed } from "../../bench/configs.ts";
import type { StepResult } from "../../bench/step.ts";
import { createTensorflowDevice } from "../../engine/devices/tensorflow/tensorflow.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { programPath } from "../../schema/package.ts";
import { randomModel, scratch } from "../support/models.ts";
import { devicesDir, isSkipped } from "../support/open-devices.ts";

const tensorflow = "tfjs-tensorflow";
const skipped = await isSkipped(tensorflow);

const minute = 60_000;

/**
 * MB of the process at the peak of its steps with rademacher noise, without the weights. With normal noise it would grow with the
 * weights, of which a byte an element is kept, up to a bound.
 */
async function besideWeights(base: string, changes: object, tokens: number, steps: number): Promise<number> {
  const folder = await scratch();
  const config = join(folder, "config.json");
  await writeFile(config, JSON.stringify({ ...(await configNamed(base)), ...changes }));
  const shape = ["--batch", "16", "--tokens", String(tokens), "--noise", "rademacher", "--steps", String(steps)];
  const args = [programPath("bench/main"), "step", "--config", config, "--device", tensorflow, ...shape, "--json"];
  const env = { ...process.env, STEPLOG_BENCH_DIR: folder, STEPLOG_DEVICES: devicesDir ?? "" };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const { memory } = JSON.parse(stdout) as StepResult;
  return memory.peak - memory.weights;
}

// Twelve of these layers under a perturbation are more than the device holds at a time.
const narrow = { hidden_size: 256, word_embed_proj_dim: 256, ffn_dim: 1024 };

test.skipIf(skipped)(
  "a step of 48 layers needs as much beside the weights as one of 12",
  { timeout: 4 * minute },
  async () => {
    const [few, many] = await Promise.all(
      [12, 48].map((layers) => besideWeights("tiny", { ...narrow, num_hidden_layers: layers }, 64, 3)),
    );
    expect(few).toBeGreaterThan(100);
    // A layer's weights are 3.2 MB: 36 layers' would be 114 MB. Beside other work it was 41.
    expect((many ?? NaN) - (few ?? NaN)).toBeLessThan(70);
  },
);

// Decision 37 has the measurements: a goal of 500 MB, 264 to 275 with all twelve layers on a quiet machine, and 342 and 392 with
// two beside work that wanted both cores four times over. All layers need what two need. It was 540 once.
test.skipIf(skipped)(
  "a step of opt-125m's widths, 16 rows of 128 tokens, needs less than 500 MB beside the weights",
  { timeout: 2 * minute },
  async () => {
    expect(await besideWeights("opt-125m", { num_hidden_layers: 2 }, 128, 2)).toBeLessThan(500);
  },
);

test.skipIf(skipped)("a thousand steps leave no tensor and no memory behind", { timeout: 2 * minute }, async () => {
  const device = createTensorflowDevice(devicesDir);
  const model = await loadModel(await openModelFolder(await randomModel()), device, "normal");
  const ids = Int32Array.of(5, 6, 7, 8);
  const rows = [{ ids, positions: Int32Array.of(2), targets: Int32Array.of(9) }];
  const tensors = new Set<number>();
  // Without the heap of JavaScript, whose part for new objects grows to its full size meanwhile.
  const memory = () => process.memoryUsage.rss() - process.memoryUsage().heapTotal;
  let before = NaN;
  for (let k = 0; k < 1000; k++) {
    await model.sideLosses(rows, { seed: BigInt(k), size: 1e-3, noise: "normal" });
    model.update([{ seed: BigInt(k), scalar: 1e-3 }]);
    if (k > 1) tensors.add(device.tensors());
    if (k === 200) before = memory();
  }
  const after = memory();
  device.dispose();
  expect(tensors.size).toBe(1);
  // 10 kB a step.
  expect(after - before).toBeLessThan(8e6);
});
