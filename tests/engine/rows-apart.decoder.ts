/** A decoder of one layer with random weights, over one device, for tests of passes with several sequences. */
import type {
  Activation,
  Device,
  KeyValueCache,
  LowRankPart,
  Pass,
  Precision,
  Products,
  Weight,
  WeightDtype,
} from "../../engine/devices/device.ts";
import { elementCount } from "../../engine/devices/device.ts";
import { Draw } from "./devices.inputs.ts";

export const vocab = 37;
const [heads, keyValueHeads, headSize, hidden] = [4, 2, 10, 150];
const [columns, keys] = [heads * headSize, keyValueHeads * headSize];
const frequencies = Float64Array.from({ length: headSize / 2 }, (_, i) => 10 ** -i);

const shapes = {
  table: [vocab, columns],
  norm: [columns],
  q: [columns, columns],
  qBias: [columns],
  k: [keys, columns],
  v: [keys, columns],
  // As GPT-2 stores its weights.
  o: [columns, columns],
  gate: [hidden, columns],
  up: [hidden, columns],
  down: [columns, hidden],
} as const;

/** New tokens of a sequence, and the caches of those before them, by layer. */
export interface Part {
  readonly ids: Int32Array;
  readonly caches: readonly KeyValueCache[] | null;
  /** Number of the adapter that changes queries and the feed-forward layer; none when left out. */
  readonly adapter?: number;
}

/** Ranks of the adapters. */
const ranks = [1, 4, 16, 21];
export const adapterCount = ranks.length;
const adapterShapes = ranks.flatMap((rank, adapter): [string, readonly number[]][] => [
  [`qA${adapter}`, [rank, columns]],
  [`qB${adapter}`, [columns, rank]],
  [`downA${adapter}`, [rank, hidden]],
  [`downB${adapter}`, [columns, rank]],
]);

interface Kind {
  readonly precision: Precision;
  readonly products?: Products | undefined;
}

export class Decoder {
  readonly #device: Device;
  readonly #kind: Kind;
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #caches: KeyValueCache[] = [];
  /** Rows in each cache. */
  readonly #lengths = new Map<KeyValueCache, number>();

  constructor(device: Device, dtype: WeightDtype, kind: Kind) {
    this.#device = device;
    this.#kind = kind;
    const draw = new Draw(5);
    this.#weights = new Map(
      [...Object.entries<readonly number[]>(shapes), ...adapterShapes].map(([name, shape]) => {
        const bytes = draw.bytes(elementCount(shape), dtype, shape.length === 1 ? 1 : 2 / Math.sqrt(columns));
        return [name, device.createWeight({ name, shape, dtype, trainable: false }, bytes)] as const;
      }),
    );
  }

  tokens(seed: number, count: number): Int32Array {
    return new Draw(seed + 1).indices(count, vocab);
  }

  createCaches(): KeyValueCache[] {
    return [this.#keep(this.#device.createCache(), 0)];
  }

  copy(caches: readonly KeyValueCache[], rows: number): KeyValueCache[] {
    return caches.map((cache) => this.#keep(this.#device.copyCache(cache, rows), rows));
  }

  /** Logits of the new tokens of all parts: [tokens, vocab]. The caches take them in. */
  async logits(parts: readonly Part[]): Promise<Float32Array> {
    const logits = await this.#pass((pass) => pass.logits(this.#forward(pass, parts), this.#weight("table")));
    for (const { ids, caches } of parts) {
      for (const cache of caches ?? []) this.#lengths.set(cache, this.#length(cache) + ids.length);
    }
    return logits;
  }

  /** The same, on copies of the caches. */
  once(parts: readonly Part[]): Promise<Float32Array> {
    return this.logits(
      parts.map(({ caches, ...part }) => ({
        ...part,
        caches: caches?.flatMap((cache) => this.copy([cache], this.#length(cache))) ?? null,
      })),
    );
  }

  /** Logits of whole sequences, of which a pass takes as many tokens as `size` says. */
  async byParts(sequences: readonly Int32Array[], size: () => number): Promise<Float32Array[]> {
    const caches = sequences.map(() => this.createCaches());
    const logits = sequences.map(({ length }) => new Float32Array(length * vocab));
    const done = sequences.map(() => 0);
    for (;;) {
      const parts = sequences.flatMap((ids, sequence) => {
        const first = done[sequence] ?? 0;
        const end = Math.min(ids.length, first + size());
        return first < end
          ? [{ sequence, first, ids: ids.subarray(first, end), caches: caches[sequence] ?? null }]
          : [];
      });
      if (parts.length === 0) return logits;
      const made = await this.logits(parts);
      let row = 0;
      for (const { sequence, first, ids } of parts) {
        logits[sequence]?.set(made.subarray(row * vocab, (row + ids.length) * vocab), first * vocab);
        row += ids.length;
        done[sequence] = first + ids.length;
      }
    }
  }

  row(logits: Float32Array, row: number): Float32Array {
    return logits.subarray(row * vocab, (row + 1) * vocab);
  }

  /** Losses of sequences without caches; each token is its own target. */
  losses(sequences: readonly Int32Array[]): Promise<Float64Array> {
    const parts = sequences.map((ids) => ({ ids, caches: null }));
    return this.#pass((pass) => pass.losses(this.#forward(pass, parts), this.#weight("table"), joined(parts)));
  }

  free(): void {
    for (const weight of this.#weights.values()) this.#device.freeWeight(weight);
    for (const cache of this.#caches) this.#device.freeCache(cache);
  }

  #forward(pass: Pass, parts: readonly Part[]): Activation {
    const w = (name: keyof typeof shapes) => this.#weight(name);
    const adapted = (layer: "q" | "down", y: Activation, of: Activation) => {
      const terms = this.#terms(layer, parts);
      return terms.length > 0 ? pass.addLowRank(y, of, terms) : y;
    };
    const lengths = parts.map(({ ids }) => ids.length);
    const positions = Int32Array.from(
      parts.flatMap(({ ids, caches }) => {
        const past = caches?.[0] ? this.#length(caches[0]) : 0;
        return Array.from(ids, (_, i) => past + i);
      }),
    );
    const turn = (x: Activation) => pass.rotate(x, { headSize, positions, frequencies, pairing: "half", scale: 1 });
    const x = pass.embed(w("table"), joined(parts));
    const normed = pass.rmsNorm(x, w("norm"), 1e-5, 0);
    const [q, k, v] = [
      adapted("q", pass.linear(normed, w("q"), w("qBias")), normed),
      pass.linear(normed, w("k"), null),
      pass.linear(normed, w("v"), null),
    ];
    const caches = parts.flatMap((part) => part.caches ?? []);
    const attended = pass.attention(turn(q), turn(k), v, {
      heads,
      keyValueHeads,
      lengths,
      causal: true,
      scale: headSize ** -0.5,
      ...(caches.length > 0 && { caches }),
    });
    const y = pass.add(x, pass.linear(attended, w("o"), null, "in-out"));
    const again = pass.rmsNorm(y, w("norm"), 1e-5, 0);
    const gate = pass.activate(pass.linear(again, w("gate"), null), "silu");
    const up = pass.linear(again, w("up"), null);
    const inner = pass.multiply(gate, up);
    const z = pass.add(y, adapted("down", pass.linear(inner, w("down"), null), inner));
    return pass.rmsNorm(z, w("norm"), 1e-5, 0);
  }

  #terms(layer: "q" | "down", parts: readonly Part[]): LowRankPart[] {
    let end = 0;
    return parts.flatMap(({ ids, adapter }) => {
      const [first, rows] = [end, ids.length];
      end += rows;
      if (adapter === undefined) return [];
      const [a, b] = [this.#weight(`${layer}A${adapter}`), this.#weight(`${layer}B${adapter}`)];
      return [{ a, b, scale: 0.75 + adapter, first, rows }];
    });
  }

  async #pass<T>(use: (pass: Pass) => Promise<T>): Promise<T> {
    const { precision, products } = this.#kind;
    const pass = this.#device.begin(null, precision, products && { products });
    try {
      return await use(pass);
    } finally {
      pass.end();
    }
  }

  #keep(cache: KeyValueCache, rows: number): KeyValueCache {
    this.#caches.push(cache);
    this.#lengths.set(cache, rows);
    return cache;
  }

  #length(cache: KeyValueCache): number {
    return this.#lengths.get(cache) ?? 0;
  }

  #weight(name: string): Weight {
    const weight = this.#weights.get(name);
    if (!weight) throw new Error(`the decoder has the weight ${name}`);
    return weight;
  }
}

function joined(parts: readonly Part[]): Int32Array {
  return Int32Array.from(parts.flatMap(({ ids }) => [...ids]));
}
