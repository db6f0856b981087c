/** Random low-rank terms for runs of rows, added by a device at once and by its other operations. */
import type { Activation, Device, LowRankPart, Pass, Weight, WeightDtype } from "../../engine/devices/device.ts";
import { elementCount } from "../../engine/devices/device.ts";
import { Draw } from "./devices.inputs.ts";

interface Run {
  readonly first: number;
  readonly rows: number;
  /** A and B change places. */
  readonly swapped?: boolean;
}

export class LowRankTerms {
  readonly #device: Device;
  readonly #weights: Weight[] = [];
  readonly #parts: readonly LowRankPart[];
  readonly #x: Weight;
  readonly #y: Weight;
  readonly #head: Weight;
  /** Whether y is read after the sum, which then needs memory of its own. */
  readonly #again: boolean;

  constructor(device: Device, dtype: WeightDtype, seed: number) {
    this.#device = device;
    const draw = new Draw(seed);
    const [rows, inputs, outputs] = [1 + draw.below(20), 1 + draw.below(80), 1 + draw.below(300)];
    const weight = (shape: readonly number[], type: WeightDtype = "F32") => {
      const name = `weight ${this.#weights.length}`;
      const bytes = draw.bytes(elementCount(shape), type, 1);
      const made = device.createWeight({ name, shape, dtype: type, trainable: true }, bytes);
      this.#weights.push(made);
      return made;
    };
    [this.#x, this.#y, this.#head] = [weight([rows, inputs]), weight([rows, outputs]), weight([5, outputs])];
    this.#again = draw.below(2) === 0;
    const parts: LowRankPart[] = [];
    for (let first = draw.below(3); first < rows;) {
      const count = 1 + draw.below(rows - first);
      const rank = 1 + draw.below(40);
      const [a, b] = [weight([rank, inputs], dtype), weight([outputs, rank], dtype)];
      parts.push({ a, b, scale: draw.unit() - 0.5, first, rows: count });
      first += count + draw.below(3);
    }
    this.#parts = parts;
  }

  /** Logits of the sum. */
  added(): Promise<Float32Array> {
    return this.#logits((pass, x, y) => pass.addLowRank(y, x, this.#parts));
  }

  /** The same, run by run. */
  async composed(): Promise<Float32Array> {
    const logits = await this.#logits((_pass, _x, y) => y);
    const columns = this.#head.shape[0] ?? 0;
    for (const { a, b, scale, first, rows } of this.#parts) {
      const index = Int32Array.from({ length: rows }, (_, row) => first + row);
      const some = await this.#logits(
        (pass, x, y) => {
          const term = pass.linear(pass.linear(pass.gather(x, index), a, null), b, null);
          return pass.add(pass.gather(y, index), pass.scale(term, scale));
        },
        (pass, y) => pass.gather(y, index),
      );
      logits.set(some, first * columns);
    }
    return logits;
  }

  /** Records terms of the first part for other runs. */
  record(runs: readonly Run[]): Activation {
    const [part] = this.#parts;
    if (!part) throw new Error("there are terms");
    const pass = this.#device.begin(null);
    try {
      const { a, b, scale } = part;
      const parts = runs.map(({ swapped, ...run }) => ({ ...run, scale, a: swapped ? b : a, b: swapped ? a : b }));
      return pass.addLowRank(embedded(pass, this.#y), embedded(pass, this.#x), parts);
    } finally {
      pass.end();
    }
  }

  free(): void {
    for (const weight of this.#weights) this.#device.freeWeight(weight);
  }

  async #logits(
    sum: (pass: Pass, x: Activation, y: Activation) => Activation,
    rowsOf: (pass: Pass, y: Activation) => Activation = (_pass, y) => y,
  ): Promise<Float32Array> {
    const pass = this.#device.begin(null);
    try {
      const [x, y] = [embedded(pass, this.#x), embedded(pass, this.#y)];
      const out = sum(pass, x, y);
      return await pass.logits(this.#again ? pass.add(out, rowsOf(pass, y)) : out, this.#head);
    } finally {
      pass.end();
    }
  }
}

function embedded(pass: Pass, table: Weight): Activation {
  return pass.embed(
    table,
    Int32Array.from({ length: table.shape[0] ?? 0 }, (_, row) => row),
  );
}
