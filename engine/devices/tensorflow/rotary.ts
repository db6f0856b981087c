/** Rotary positions as TensorFlow operations. */
import type { RotaryShape } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";

/** Cosines and signed sines [rows, 1, headSize] of some rows. */
export interface Angles {
  readonly cosines: Handle;
  readonly sines: Handle;
}

/** x cos + partner sin, where a column's partner is the other column of its pair. Columns without a partner do not change. */
export function rotated(tf: TensorFlow, x: Handle, shape: RotaryShape, { cosines, sines }: Angles): Handle {
  const [rows = 0, columns = 0] = x.shape;
  const heads = tf.reshape(x, [rows, columns / shape.headSize, shape.headSize]);
  const crossed = tf.next(partners(tf, heads, shape), (y) => tf.binary("Mul", y, sines));
  const kept = tf.next(heads, (y) => tf.binary("Mul", y, cosines));
  const sum = tf.next(kept, (y) => tf.binary("AddV2", y, crossed));
  tf.free(crossed);
  return tf.next(sum, (y) => tf.reshape(y, [rows, columns]));
}

function partners(tf: TensorFlow, heads: Handle, { headSize, frequencies, pairing }: RotaryShape): Handle {
  if (pairing === "half" && 2 * frequencies.length === headSize) return tf.roll(heads, frequencies.length, 2);
  const order = Array.from({ length: headSize }, (_, column) => column);
  frequencies.forEach((_, pair) => {
    const [a, b] = columnsOf(pair, pairing, frequencies.length);
    order[a] = b;
    order[b] = a;
  });
  return tf.gatherBy(heads, tf.list(order), 2);
}

function columnsOf(pair: number, pairing: RotaryShape["pairing"], pairs: number): [a: number, b: number] {
  return pairing === "half" ? [pair, pair + pairs] : [2 * pair, 2 * pair + 1];
}

/** The angles of each different position, and which of them each row has. */
export function tableOf(shape: RotaryShape) {
  const { headSize, positions, frequencies, pairing, scale } = shape;
  const known = new Map<number, number>();
  const places = positions.map((position) => {
    const place = known.get(position) ?? known.size;
    known.set(position, place);
    return place;
  });
  const cosines = new Float32Array(known.size * headSize).fill(1);
  const sines = new Float32Array(known.size * headSize);
  for (const [position, place] of known) {
    frequencies.forEach((frequency, pair) => {
      const [a, b] = columnsOf(pair, pairing, frequencies.length);
      const at = place * headSize;
      cosines[at + a] = cosines[at + b] = Math.cos(position * frequency) * scale;
      sines[at + b] = Math.sin(position * frequency) * scale;
      sines[at + a] = -(sines[at + b] ?? 0);
    });
  }
  return { places, cosines, sines, shape: [known.size, 1, headSize] };
}
