/** Seeded random weights and the passes that the conformance suite runs over them. */
import type {
  Activation,
  Device,
  HeadOptions,
  Pass,
  Perturbation,
  Precision,
  Weight,
  WeightDtype,
  WeightSpec,
} from "../../engine/devices/device.ts";
import { elementCount } from "../../engine/devices/device.ts";
import type { Noise } from "../../engine/numbers/noise.ts";

/** fast-check prints the seed of a failure; STEPLOG_TEST_SEED repeats it. */
export const propertySeed = Number(process.env["STEPLOG_TEST_SEED"] ?? Date.now() & 0x7fffffff);

/** Numbers from a seed (mulberry32), the same on every machine. */
export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** In [0, 1). */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(end: number): number {
    return Math.floor(this.unit() * end);
  }

  indices(count: number, end: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.below(end));
  }

  /** The stored bytes of `count` values in (-scale, scale). */
  bytes(count: number, dtype: WeightDtype, scale: number): Uint8Array {
    // Loops, which take a tenth of the time of Float32Array.from().
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = (2 * this.unit() - 1) * scale;
    if (dtype === "F32") return new Uint8Array(values.buffer);
    const words = new Uint32Array(values.buffer);
    const halves = new Uint16Array(count);
    for (let i = 0; i < count; i++) halves[i] = (words[i] ?? 0) >>> 16;
    return new Uint8Array(halves.buffer);
  }
}

export type Lookup = (name: string) => Weight;

/** One forward computation with everything it needs; `forward` is run on several devices. */
export interface Computation {
  readonly weights: readonly (WeightSpec & { readonly bytes: Uint8Array })[];
  readonly forward: (pass: Pass, weights: Lookup) => Activation;
  readonly head: string;
  readonly headOptions: (weights: Lookup) => HeadOptions;
  readonly targets: Int32Array;
}

export function load(device: Device, computation: Computation): Map<string, Weight> {
  return new Map(
    computation.weights.map(({ bytes, ...spec }) => [spec.name, device.createWeight(spec, bytes)] as const),
  );
}

export function lookup(weights: ReadonlyMap<string, Weight>): Lookup {
  return (name) => {
    const weight = weights.get(name);
    if (!weight) throw new Error(`the computation names its weight ${name}`);
    return weight;
  };
}

/** Losses and logits, of both sides in a perturbed pass. */
export async function run(
  device: Device,
  computation: Computation,
  weights: ReadonlyMap<string, Weight>,
  perturbation: Perturbation | null,
  precision: Precision = "float32",
): Promise<{ losses: Float64Array; logits: Float32Array }> {
  const find = lookup(weights);
  const pass = device.begin(perturbation, precision);
  try {
    const hidden = computation.forward(pass, find);
    const [head, options] = [find(computation.head), computation.headOptions(find)];
    const losses = await pass.losses(hidden, head, computation.targets, options);
    const logits = await pass.logits(hidden, head, options);
    return { losses, logits };
  } finally {
    pass.end();
  }
}

export interface Shape {
  readonly seed: number;
  readonly lengths: readonly number[];
  readonly columns: number;
  readonly vocab: number;
  readonly dtype: WeightDtype;
  readonly trainable: boolean;
}

/** An operation under test: x is [rows, columns], and the result's rows are scored against a head. */
export interface Operation {
  /** Shapes of its own weights, by name. */
  readonly weights?: (shape: Shape) => Readonly<Record<string, readonly number[]>>;
  readonly apply: (context: { pass: Pass; x: Activation; weights: Lookup; shape: Shape; draw: Draw }) => Activation;
  /** Columns of the result; those of x when left out. */
  readonly columns?: (shape: Shape) => number;
  /** The head is the table of the embeddings. */
  readonly tied?: boolean;
  /** The head has a bias. */
  readonly headBias?: boolean;
  readonly headSoftcap?: number;
}

/** Embeds random ids, applies the operation, and scores the rows. */
export function computationOf(operation: Operation, shape: Shape): Computation {
  const draw = new Draw(shape.seed);
  const rows = shape.lengths.reduce((sum, length) => sum + length, 0);
  const ids = draw.indices(rows, shape.vocab);
  const shapes = {
    table: [shape.vocab, shape.columns],
    ...(operation.tied ? {} : { head: [shape.vocab, operation.columns?.(shape) ?? shape.columns] }),
    ...(operation.headBias ? { headBias: [shape.vocab] } : {}),
    ...operation.weights?.(shape),
  };
  const { dtype, trainable } = shape;
  const weights = Object.entries(shapes).map(([name, size]) => {
    return { name, shape: size, dtype, trainable, bytes: draw.bytes(elementCount(size), dtype, 0.7) };
  });
  const applySeed = draw.below(2 ** 30);
  return {
    weights,
    head: operation.tied ? "table" : "head",
    headOptions: (find) => ({
      ...(operation.headBias && { bias: find("headBias") }),
      ...(operation.headSoftcap !== undefined && { softcap: operation.headSoftcap }),
    }),
    targets: draw.indices(rows, shape.vocab),
    forward: (pass, find) => {
      const x = pass.embed(find("table"), ids);
      return operation.apply({ pass, x, weights: find, shape, draw: new Draw(applySeed) });
    },
  };
}

/** None, and one of each noise; e is large, so that a device which forgets the noise is seen. */
export function perturbations(seed: number): (Perturbation | null)[] {
  const of = (noise: Noise): Perturbation => ({ seed: 2n ** 63n + BigInt(seed) * 2n ** 31n, size: 0.03125, noise });
  return [null, of("normal"), of("rademacher"), { ...of(seed % 2 === 0 ? "normal" : "rademacher"), oneSided: true }];
}
