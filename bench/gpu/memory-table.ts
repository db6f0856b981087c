/** The memory of models on a GPU, as Markdown for docs/GPU.md. */
import { markdownTable, number } from "../report.ts";
import type { MemoryTask } from "./memory.ts";
import { memoryNeeded } from "./memory.ts";

const models = ["opt-125m", "opt-1.3b", "opt-2.7b", "opt-6.7b", "opt-13b", "opt-30b", "opt-66b"];
const batch = { batch: 16, tokens: 256, labels: 8, gpu: true };

/**
 * GB (10^9 bytes): the weights in each dtype, and the tensors beside them at the peak of a step. Perturbed weights are float32
 * whatever the weights are, so that is the same for both.
 */
export async function memoryTable(): Promise<string> {
  const rows: string[][] = [];
  for (const config of models) {
    const layers = config === "opt-125m" ? 12 : 2;
    const need = (method: MemoryTask["method"]) => memoryNeeded({ ...batch, config, dtype: "BF16", method, layers });
    const [full, lora] = [await need("FULL"), await need("LORA")];
    const bytes = [2 * full.weights, full.weights, full.step, lora.step];
    rows.push([config, ...bytes.map((value) => number(value / 1e9))]);
  }
  return markdownTable(["GB", "weights, float32", "weights, bfloat16", "beside, FULL", "beside, LORA"], rows);
}
