/**
 * The noise as TensorFlow operations: the same bits as engine/numbers/noise.ts. StatelessRandomUniformFullIntV2 with algorithm 1
 * is Philox4x32-10, word for word; the rest is bit counts, look-ups and exact products.
 */
import { invariant } from "../../../schema/errors.ts";
import type { Noise } from "../../numbers/noise.ts";
import { streams } from "../../numbers/noise.ts";
import type { Handle, Held, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";

/** Noise is drawn from the start of a block: a first element must be a multiple of this. */
export const noiseAlignment = 128;

/** Consecutive elements of a tensor, as a matrix. */
export interface NoisePlace {
  /** Tensor id. */
  readonly id: number;
  /** Flat index of the first element. */
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  /** The bit counts that a pass drew, for another use of the weight and for the update that follows. */
  kept: KeptOnes | null;
}

interface KeptOnes {
  readonly seed: bigint;
  readonly ones: Held;
}

/**
 * Bytes of kept bit counts, at most. On a processor without a GPU drawing them costs more than the rest of an update; on a
 * GPU it should cost next to nothing: expected, not watched on one.
 */
const keptBytes = 128 * 2 ** 20;

export class TensorflowNoise {
  readonly #tf: TensorFlow;
  /** 1 - 2 * bit for the eight bits of each byte: [256, 8]. */
  readonly #signs: Handle;
  readonly #dequantizes: boolean;
  readonly #budget: number;
  #kept = 0;

  constructor(tf: TensorFlow) {
    this.#tf = tf;
    const signs = Float32Array.from({ length: 256 * 8 }, (_, i) => 1 - 2 * (((i >> 3) >>> (i & 7)) & 1));
    this.#signs = tf.constant(signs, [256, 8]);
    // A GPU has no such kernel, and TensorFlow would quietly compute on the CPU instead.
    this.#dequantizes = !tf.usesGpu && dequantizesExactly(tf);
    this.#budget = tf.usesGpu ? 0 : keptBytes;
  }

  /** size * n, exact, as float32 [rows, columns]. */
  scaled(place: NoisePlace, noise: Noise, seed: bigint, size: number): Handle {
    if (noise === "rademacher") return this.#scaledSigns(place, seed, size);
    return this.#tf.scope(() => this.scaledOnes(this.ones(place, seed), size));
  }

  /** The ones among the 16 bits of each element: uint8 [rows, columns]. */
  ones(place: NoisePlace, seed: bigint): Handle {
    const kept = place.kept?.seed === seed ? place.kept.ones.handles[0] : undefined;
    return kept ?? this.#drawOnes(place, seed);
  }

  /** Draws what several uses of a place will need, if there is room for it. Signs are drawn so fast that they are not kept. */
  keep(place: NoisePlace, noise: Noise, seed: bigint): void {
    if (noise === "rademacher" || place.kept?.seed === seed) return;
    this.forget(place);
    if (this.#kept + place.rows * place.columns <= this.#budget) this.#keepNow(place, seed);
  }

  /** Keeps it even where there is no room, until the returned function is called. */
  borrow(place: NoisePlace, noise: Noise, seed: bigint): () => void {
    this.keep(place, noise, seed);
    if (noise === "rademacher" || place.kept) return () => {};
    this.#keepNow(place, seed);
    return () => this.forget(place);
  }

  #keepNow(place: NoisePlace, seed: bigint): void {
    place.kept = { seed, ones: this.#tf.hold(() => [this.#drawOnes(place, seed)]) };
    this.#kept += place.rows * place.columns;
  }

  forget(place: NoisePlace): void {
    if (!place.kept) return;
    place.kept.ones.end();
    place.kept = null;
    this.#kept -= place.rows * place.columns;
  }

  #drawOnes({ id, first, rows, columns }: NoisePlace, seed: bigint): Handle {
    const tf = this.#tf;
    return tf.scope(() => {
      const halves = this.#halves(seed, id, streams.normal, first, rows * columns);
      const ones = tf.next(halves, (x) => tf.unary("PopulationCount", x, types.uint16));
      return tf.reshape(ones, [rows, columns], types.uint8);
    });
  }

  /**
   * size * (ones - 8), exact for |size| of at most 20 bits of mantissa. On a CPU it is mostly one operation: Dequantize computes
   * ones * scale + min, with scale = (max - min) / 255, which `rangeOf` makes `size`. ones * size has at most 24 bits,
   * min = -8 * size, and their sum, (ones - 8) * size, at most 23: nothing is rounded, with FMA or without.
   */
  scaledOnes(ones: Handle, size: number): Handle {
    const tf = this.#tf;
    const range = this.#dequantizes ? rangeOf(size) : undefined;
    return tf.scope(() => {
      if (range) return dequantized(tf, ones, range);
      return tf.next(this.#centred(ones), (n) => tf.binary("Mul", n, tf.constant(Float32Array.of(size), [])));
    });
  }

  /** ones - 8. */
  #centred(ones: Handle): Handle {
    const tf = this.#tf;
    if (this.#dequantizes) return dequantized(tf, ones, [-8, 247]);
    return tf.next(tf.cast(ones, types.uint8, types.float32), (x) => tf.binary("Sub", x, tf.scalar(8)));
  }

  /** Eight elements by one look-up: a byte of the words has the bits of eight elements. */
  #scaledSigns({ id, first, rows, columns }: NoisePlace, seed: bigint, size: number): Handle {
    const tf = this.#tf;
    const count = rows * columns;
    return tf.scope(() => {
      const drawn = this.#words(seed, id, streams.rademacher, first / noiseAlignment, Math.ceil(count / 32));
      const bytes = tf.next(drawn, (x) => tf.bitcast(x, types.uint32, types.uint8));
      const index = tf.next(bytes, (x) => tf.cast(x, types.uint8, types.int32));
      const table = tf.binary("Mul", this.#signs, tf.constant(Float32Array.of(size), []));
      const steps = tf.next(index, (x) => tf.gatherBy(table, x, 0));
      return tf.reshape(firstOf(tf, steps, count, types.float32), [rows, columns]);
    });
  }

  /** The 16 bits that stochastic rounding adds: uint32 [rows, columns]. */
  rounding({ id, first, rows, columns }: NoisePlace, seed: bigint): Handle {
    const tf = this.#tf;
    return tf.scope(() => {
      const halves = this.#halves(seed, id, streams.rounding, first, rows * columns);
      return tf.reshape(tf.cast(halves, types.uint16, types.uint32), [rows, columns], types.uint32);
    });
  }

  /** The 16-bit halves of the words, low half first: uint16 [count]. */
  #halves(seed: bigint, tensor: number, stream: number, first: number, count: number): Handle {
    const tf = this.#tf;
    return tf.scope(() => {
      const drawn = this.#words(seed, tensor, stream, first / 8, Math.ceil(count / 2));
      return firstOf(tf, tf.bitcast(drawn, types.uint32, types.uint16), count, types.uint16);
    });
  }

  /** `count` Philox words, starting at a block: uint32 [count]. Key and counter are uint64, low word first. */
  #words(seed: bigint, tensor: number, stream: number, block: number, count: number): Handle {
    invariant(Number.isInteger(block), "noise is drawn from the first element of a block");
    const tf = this.#tf;
    const low = Number(seed & 0xffff_ffffn) | 0;
    const high = Number((seed >> 32n) & 0xffff_ffffn) | 0;
    const counter = Int32Array.of(block | 0, (block / 2 ** 32) | 0, tensor | 0, stream);
    return tf.scope(() => {
      const inputs = [
        tf.list([count]),
        tf.bitcast(tf.constant(Int32Array.of(low, high), [1, 2]), types.int32, types.uint64),
        tf.bitcast(tf.constant(counter, [2, 2]), types.int32, types.uint64),
        tf.integer(philox),
      ];
      return tf.run("StatelessRandomUniformFullIntV2", inputs, { dtype: types.uint32, Tshape: types.int32 });
    });
  }

  dispose(): void {
    this.#tf.free(this.#signs);
  }
}

const philox = 1;

/** The first elements of x, which shares its memory: [count]. */
function firstOf(tf: TensorFlow, x: Handle, count: number, type: (typeof types)[keyof typeof types]): Handle {
  const all = x.shape.reduce((product, size) => product * size, 1);
  return tf.slice(tf.reshape(x, [all], type), 0, count, type);
}

type Range = readonly [min: number, max: number];

/**
 * A range from -8 * size whose 255th part is `size` in float32 arithmetic: there is one for every bfloat16 and most others. None
 * for 0, whose products need the sign of n, and for a size beyond float32's range.
 */
export function rangeOf(size: number): Range | undefined {
  if (size === 0) return undefined;
  const min = -8 * size;
  const exact = 247 * size;
  const ulp = 2 ** (Math.floor(Math.log2(Math.abs(exact))) - 23);
  for (const nudge of [0, 1, -1, 2, -2]) {
    const max = Math.fround(exact + nudge * ulp);
    if (Math.fround(Math.fround(max - min) / 255) === size) return [min, max];
  }
  return undefined;
}

/** x * (max - min) / 255 + min of uint8. */
function dequantized(tf: TensorFlow, x: Handle, [min, max]: Range): Handle {
  return tf.scope(() => {
    const quantized = tf.bitcast(x, types.uint8, types.quint8);
    const ends = [tf.constant(Float32Array.of(min), []), tf.constant(Float32Array.of(max), [])];
    return tf.run("Dequantize", [quantized, ...ends], { T: types.quint8 });
  });
}

/** Whether Dequantize is there and computes what `scaledOnes` relies on. */
function dequantizesExactly(tf: TensorFlow): boolean {
  try {
    return [1, -3.140625, 0.0005000084638595581, 2 ** -100].every((size) => {
      const range = rangeOf(size);
      const seen = tf.scope(() => {
        const counts = tf.cast(tf.constant(Int32Array.from({ length: 17 }, (_, i) => i)), types.int32, types.uint8);
        return dequantized(tf, counts, range ?? [0, 0]);
      });
      const values = tf.floats(seen);
      tf.free(seen);
      return values.every((value, ones) => Object.is(value, size * (ones - 8)) || (ones === 8 && Object.is(value, 0)));
    });
  } catch {
    return false;
  }
}
