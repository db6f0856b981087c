/** What makes a stage that has ended a failure: it ran, and what it found must not be taken for right. null for nothing. */
import type { BitsResult } from "./bits.ts";
import type { Conformance } from "./conformance.ts";
import type { Gpu } from "./result.ts";

export interface Opening {
  readonly device: string;
  readonly precisions: readonly string[];
  /** null for a device that knows no GPUs. */
  readonly onGpu: boolean | null;
}

/** TensorFlow that lacks a library of CUDA computes on the processor without a word, and would be measured for the GPU. */
export function notOnGpu({ device, onGpu }: Opening, gpu: Gpu | null): string | null {
  if (gpu === null || onGpu !== false) return null;
  return `This machine has a GPU (${gpu.name}), but the device opened on the processor: ${device}. Run steplog device install tfjs-gpu, which tells what TensorFlow says of the GPU; --device tfjs-cpu measures the processor.`;
}

export function differentBits({ cases, reference }: BitsResult): string | null {
  const different = cases.filter(({ expected, seen }) => expected !== seen);
  if (different.length === 0) return null;
  return `DIFFERENT from ${reference}: ${different.map(({ dtype, noise }) => `${dtype} ${noise}`).join(", ")}`;
}

export function failedTests({ passed, failed }: Conformance): string | null {
  return failed.length === 0 ? null : `${passed} passed, ${failed.length} FAILED: ${failed[0] ?? ""}`;
}
