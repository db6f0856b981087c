/** The memory that a worker says it has: the GPU's, where there is one. */
import { totalmem } from "node:os";
import { afterEach, expect, test, vi } from "vitest";
import { gpuMemoryBytes } from "../../engine/devices/tensorflow/nvidia.ts";
import { memoryFor } from "../../worker/capabilities.ts";
import { pathWithNvidiaSmi } from "../support/nvidia-smi.ts";

afterEach(() => vi.unstubAllEnvs());

async function nvidiaSmi(script: string): Promise<void> {
  vi.stubEnv("PATH", await pathWithNvidiaSmi(script));
}

test("is that of the smallest GPU, as nvidia-smi tells it in MiB", async () => {
  await nvidiaSmi('[ "$1" = --query-gpu=memory.total ] && printf "24564\\n 16384\\n"');
  expect(gpuMemoryBytes()).toBe(16_384 * 2 ** 20);
});

test.each([
  ["fails", "exit 9"],
  ["finds no GPU", "exit 0"],
  ["does not know", 'echo "[N/A]"'],
])("is not known where nvidia-smi %s", async (_what, script) => {
  await nvidiaSmi(script);
  expect(gpuMemoryBytes()).toBeUndefined();
});

test("is the machine's unless the device has less of its own", () => {
  expect(memoryFor({})).toBeLessThanOrEqual(totalmem());
  expect(memoryFor({ memoryBytes: 1_000 })).toBe(1_000);
  expect(memoryFor({ memoryBytes: 2 * totalmem() })).toBe(memoryFor({}));
});
