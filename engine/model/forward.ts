/** Forward passes of a model whose weights are on a device. */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Activation, Device, Pass, Perturbation, Precision, Products, Weight } from "../devices/device.ts";
import { sidesOf } from "../devices/device.ts";
import type { LowRankTerm } from "./adapters/adapter.ts";
import type { Architecture, PackedTokens, WeightLookup } from "./families/family.ts";
import { packRows } from "./packing.ts";

/** An adapter whose tensors are on the device. */
export interface AttachedAdapter {
  readonly weights: readonly Weight[];
  /** Positions before every sequence that it takes from the model's context. */
  readonly prefixLength: number;
  /** What it adds to linear layers, by the names of their weights, if that is all that it does. */
  readonly terms: ReadonlyMap<string, LowRankTerm> | null;
  readonly change: (pass: Pass) => Pass;
}

export function lookupIn(weights: ReadonlyMap<string, Weight>): WeightLookup {
  return (name) => {
    const weight = weights.get(name);
    invariant(weight, `${name} is a tensor of the model or of its adapter`);
    return weight;
  };
}

interface PassOptions {
  readonly precision: Precision;
  /** Of unperturbed passes; left out: as it suits the number of rows. */
  readonly products?: Products;
  /** Logits are used before the next pass that has the same memory. Left out: each has memory of its own. */
  readonly memory?: LogitMemory;
  readonly beforePass?: (() => Promise<void>) | undefined;
}

/** Memory for the logits of one pass after the other: to make it anew for each, and collect it, takes longer than to fill it. */
export class LogitMemory {
  #memory = new Float32Array();

  of(count: number): Float32Array {
    if (this.#memory.length < count) this.#memory = new Float32Array(count);
    return this.#memory.subarray(0, count);
  }
}

/** A pass without a perturbation, or with a one-sided one, has one side; others have w + e*n, then w - e*n. */
export class ForwardPasses {
  readonly #architecture: Architecture;
  readonly #device: Device;
  readonly #run: PassOptions;
  readonly #weights: WeightLookup;
  readonly #adapter: AttachedAdapter | null;

  constructor(
    architecture: Architecture,
    device: Device,
    run: PassOptions,
    weights: WeightLookup,
    adapter: AttachedAdapter | null,
  ) {
    this.#architecture = architecture;
    this.#device = device;
    this.#run = run;
    this.#weights = weights;
    this.#adapter = adapter;
  }

  /** Loss of each scored token in nats: [sides * targets]. */
  losses(rows: readonly EncodedRow[], perturbation: Perturbation | null): Promise<Float64Array> {
    const packed = packRows(this.#architecture, rows);
    return this.targetLosses(packed, packed.positions, packed.targets, perturbation);
  }

  /** Loss of a target at each of some positions of packed sequences, in nats: [sides * positions]. */
  targetLosses(
    tokens: PackedTokens,
    positions: Int32Array,
    targets: Int32Array,
    perturbation: Perturbation | null = null,
  ): Promise<Float64Array> {
    return this.#pass(perturbation, (pass) => {
      const hidden = this.#forward(pass, tokens, positions);
      return pass.losses(hidden, this.#headWeight, targets, this.#headOptions);
    });
  }

  /** [sides * positions, vocab] */
  logits(tokens: PackedTokens, positions: Int32Array, perturbation: Perturbation | null = null): Promise<Float32Array> {
    return this.#pass(perturbation, (pass) => {
      const hidden = this.#forward(pass, tokens, positions);
      const count = sidesOf(perturbation) * positions.length * this.#architecture.vocabulary;
      const into = this.#run.memory?.of(count);
      return pass.logits(hidden, this.#headWeight, { ...this.#headOptions, ...(into && { into }) });
    });
  }

  /** The input of the head: [positions, hidden]. */
  hiddenStates(tokens: PackedTokens, positions: Int32Array): Promise<Float32Array> {
    return this.#pass(null, (pass) => readActivation(this.#device, pass, this.#forward(pass, tokens, positions)));
  }

  async #pass<T>(perturbation: Perturbation | null, use: (pass: Pass) => Promise<T>): Promise<T> {
    await this.#run.beforePass?.();
    const { precision, products } = this.#run;
    const pass = this.#device.begin(perturbation, precision, products && { products });
    try {
      return await use(pass);
    } finally {
      pass.end();
    }
  }

  #forward(pass: Pass, tokens: PackedTokens, positions: Int32Array): Activation {
    const changed = this.#adapter?.change(pass) ?? pass;
    return this.#architecture.forward(changed, this.#weights, this.#afterPrefix(tokens), positions);
  }

  /** The tokens, with their positions counted from the end of the prefix. */
  #afterPrefix(tokens: PackedTokens): PackedTokens {
    const prefixLength = this.#adapter?.prefixLength ?? 0;
    if (prefixLength === 0) return tokens;
    return { ...tokens, past: tokens.lengths.map((_, sequence) => prefixLength + (tokens.past?.[sequence] ?? 0)) };
  }

  get #headWeight(): Weight {
    return this.#weights(this.#architecture.head.weight);
  }

  get #headOptions() {
    const { bias, softcap } = this.#architecture.head;
    return {
      ...(bias !== undefined && { bias: this.#weights(bias) }),
      ...(softcap !== undefined && { softcap }),
    };
  }
}

/** The only output of a pass is a head's logits, so an activation is read as the logits of an identity head. */
async function readActivation(device: Device, pass: Pass, x: Activation): Promise<Float32Array> {
  const { columns } = x;
  const identity = new Float32Array(columns * columns);
  for (let i = 0; i < columns; i++) identity[i * (columns + 1)] = 1;
  const spec = { name: "identity", shape: [columns, columns], dtype: "F32", trainable: false } as const;
  const weight = device.createWeight(spec, new Uint8Array(identity.buffer));
  try {
    return await pass.logits(x, weight);
  } finally {
    device.freeWeight(weight);
  }
}
