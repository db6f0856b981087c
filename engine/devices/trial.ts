/**
 * A trial of a device: noise, update and a product whose results are known, because the plain device computes them too. It
 * takes milliseconds, and finds a library that loads but computes something else.
 */
import { invariant } from "../../schema/errors.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import type { Device, Precision, Weight, WeightSpec } from "./device.ts";
import { elementCount } from "./device.ts";
import { createPlainDevice } from "./plain.ts";

const specs: readonly WeightSpec[] = [
  { name: "trial.table", shape: [12, 16], dtype: "F32", trainable: true },
  { name: "trial.head", shape: [24, 16], dtype: "BF16", trainable: true },
];
const entries: readonly LogEntry[] = [{ seed: 1n, scalar: 0.5, decay: 0.75 }];
const perturbation = { seed: 7n, size: 0.001, noise: "normal" } as const;
/** Of losses, relative to the plain device's: the roundings of sums in another order, and those of bfloat16. */
const tolerances: Readonly<Record<Precision, number>> = { float32: 1e-4, bfloat16: 2e-2 };

/** @throws an Error that says what differs */
export async function tryDevice(device: Device): Promise<void> {
  const plain = createPlainDevice();
  const [given, expected] = [loaded(device), loaded(plain)];
  device.update(given, entries, "normal");
  plain.update(expected, entries, "normal");
  for (const [index, weight] of given.entries()) {
    const wanted = expected[index];
    if (wanted && (await readHex(device, weight)) !== (await readHex(plain, wanted)))
      throw new Error(`an update gives other bits of ${weight.dtype} weights than the plain device`);
  }
  const reference = await losses(plain, expected, "float32");
  for (const precision of device.precisions) {
    const measured = await losses(device, given, precision);
    const wrong = reference.findIndex(
      (loss, row) => !(Math.abs((measured[row] ?? NaN) - loss) <= tolerances[precision] * Math.abs(loss)),
    );
    if (wrong >= 0) throw new Error(`a loss in ${precision} is ${measured[wrong]} instead of ${reference[wrong]} nats`);
  }
  for (const weight of given) device.freeWeight(weight);
}

/** The weights, with values in [-1, 1) that bfloat16 holds exactly. */
function loaded(device: Device): Weight[] {
  return specs.map((spec) => {
    const values = Float32Array.from({ length: elementCount(spec.shape) }, (_, i) => ((i * 37) % 64) / 32 - 1);
    const words = new Uint32Array(values.buffer);
    const bytes = spec.dtype === "F32" ? words : Uint16Array.from(words, (word) => word >>> 16);
    return device.createWeight(spec, new Uint8Array(bytes.buffer));
  });
}

async function readHex(device: Device, weight: Weight): Promise<string> {
  return Buffer.from(await device.readWeight(weight)).toString("hex");
}

async function losses(device: Device, [table, head]: readonly Weight[], precision: Precision): Promise<Float64Array> {
  invariant(table && head, "the trial has two weights");
  const pass = device.begin(perturbation, precision);
  try {
    return await pass.losses(pass.embed(table, Int32Array.of(0, 5, 11)), head, Int32Array.of(3, 9, 23));
  } finally {
    pass.end();
  }
}
