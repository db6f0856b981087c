/** bench noise: how fast the native device makes noise, without anything else. */
import { nativeAddon } from "../engine/native/addon.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, summarise, timed } from "./measure.ts";

export interface NoiseOptions {
  readonly noise: Noise;
  readonly elements: number;
  readonly runs: number;
  readonly threads?: number;
}

export interface NoiseResult {
  readonly bench: "noise";
  readonly options: NoiseOptions;
  readonly device: string;
  /** Seconds for all elements, including allocating their memory. */
  readonly run: Summary;
  /** 10^9 elements per second. */
  readonly gigaElementsPerSecond: number;
  readonly machine: Machine;
}

export async function benchNoise(options: NoiseOptions): Promise<NoiseResult> {
  const { elements, noise, runs } = options;
  const native = new (nativeAddon().NativeDevice)("", options.threads ?? 0);
  const make = (seed: number) => native.noise(elements, noise === "normal" ? 0 : 1, BigInt(seed), 7, 0);
  await make(0);
  const samples: Sample[] = [];
  for (let run = 1; run <= runs; run++) samples.push((await timed(() => make(run))).sample);
  const run = summarise(samples);
  const gigaElementsPerSecond = elements / run.median / 1e9;
  const device = `native, ${native.instructionSet}, ${native.threads} threads`;
  return { bench: "noise", options, device, run, gigaElementsPerSecond, machine: machine() };
}
