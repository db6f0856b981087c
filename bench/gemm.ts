/** bench gemm: one linear layer as in a step: both sides, with the noise drawn while the weight is packed. */
import type { Device, Perturbation, Precision, Weight, WeightDtype } from "../engine/devices/device.ts";
import { bytesPerElement, elementCount } from "../engine/devices/device.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import { openDevice, peakOf, timingsOf } from "./device.ts";
import type { BoundedSample, Machine, Sample, Summary } from "./measure.ts";
import { bounded, machine, shareOfPeak, summarise, timed } from "./measure.ts";

export interface GemmOptions {
  /** Rows of one side. */
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly dtype: WeightDtype;
  readonly multiply: Precision;
  /** Both sides with the same noise; "none" is one side with the weight itself. */
  readonly noise: Noise | "none";
  readonly device: string;
  readonly runs: number;
  readonly threads?: number;
}

export interface GemmResult {
  readonly bench: "gemm";
  readonly options: GemmOptions;
  readonly device: string;
  /** Seconds of linear layers as the device reports them; of the whole pass if it does not. */
  readonly product: Summary;
  readonly gflopPerSecond: number;
  /** Share of the processor's peak, measured before and after each run; NaN if the device does not measure it. */
  readonly shareOfPeak: number;
  readonly machine: Machine;
}

export async function benchGemm(options: GemmOptions): Promise<GemmResult> {
  const device = await openDevice(options);
  const { rows, inputs, outputs, dtype } = options;
  const weights = {
    table: randomWeight(device, "table", [256, inputs], dtype),
    matrix: randomWeight(device, "matrix", [outputs, inputs], dtype),
    head: randomWeight(device, "head", [2, outputs], dtype),
  };
  await onePass(device, weights, options, 0);
  const runs: BoundedSample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    const peak = () => peakOf(device, options.multiply);
    runs.push(await bounded(peak, async () => ({ sample: await onePass(device, weights, options, run) })));
  }
  const product = summarise(runs.map(({ sample }) => sample));
  const sides = options.noise === "none" ? 1 : 2;
  const gflop = (2 * sides * rows * inputs * outputs) / 1e9;
  const result: GemmResult = {
    bench: "gemm",
    options,
    device: `${device.name}: ${device.description}`,
    product,
    gflopPerSecond: gflop / product.median,
    shareOfPeak: shareOfPeak(runs, gflop),
    machine: machine(),
  };
  device.dispose();
  return result;
}

/** Rows come from a small table, and one row of the product is read: both cost almost nothing compared to the product. */
async function onePass(
  device: Device,
  { table, matrix, head }: Readonly<Record<"table" | "matrix" | "head", Weight>>,
  { rows, noise, multiply }: GemmOptions,
  run: number,
): Promise<Sample> {
  const perturbation: Perturbation | null = noise === "none" ? null : { seed: BigInt(run), size: 2 ** -10, noise };
  const ids = Int32Array.from({ length: rows }, (_, row) => row % 256);
  await timingsOf(device);
  const { sample } = await timed(async () => {
    const pass = device.begin(perturbation, multiply);
    const y = pass.linear(pass.embed(table, ids), matrix, null);
    await pass.losses(pass.gather(y, Int32Array.of(0)), head, Int32Array.of(0));
    pass.end();
  });
  const parts = await timingsOf(device);
  return { ...sample, seconds: parts?.["linear"] ?? sample.seconds };
}

function randomWeight(device: Device, name: string, shape: readonly number[], dtype: WeightDtype): Weight {
  const values = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i));
  const stored = new Uint8Array(values.buffer);
  const upper = new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16).buffer);
  return device.createWeight({ name, shape, dtype, trainable: true }, bytesPerElement[dtype] === 4 ? stored : upper);
}
