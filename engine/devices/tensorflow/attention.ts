/** Rotary positions and attention as TensorFlow operations, on packed activations [sides, rows, columns]. */
import type { AttentionShape, RotaryShape } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";

/** x cos + partner sin, where a column's partner is the other column of its pair. Columns without a partner do not change. */
export function rotated(tf: TensorFlow, x: Handle, shape: RotaryShape): Handle {
  const { headSize, positions, frequencies, pairing, scale } = shape;
  const [sides = 1, rows = 0, columns = 0] = x.shape;
  const partners = Int32Array.from({ length: headSize }, (_, c) => c);
  const cosines = new Float32Array(rows * headSize).fill(1);
  const sines = new Float32Array(rows * headSize);
  frequencies.forEach((frequency, pair) => {
    const [a, b] = pairing === "half" ? [pair, pair + frequencies.length] : [2 * pair, 2 * pair + 1];
    partners[a] = b;
    partners[b] = a;
    positions.forEach((position, row) => {
      const [cos, sin] = [Math.cos(position * frequency) * scale, Math.sin(position * frequency) * scale];
      cosines[row * headSize + a] = cos;
      cosines[row * headSize + b] = cos;
      sines[row * headSize + a] = -sin;
      sines[row * headSize + b] = sin;
    });
  });
  const heads = tf.reshape(x, [sides, rows, columns / headSize, headSize]);
  const table = [1, rows, 1, headSize];
  const kept = tf.binary("Mul", heads, tf.constant(cosines, table));
  const crossed = tf.binary("Mul", tf.gather(heads, partners, 3), tf.constant(sines, table));
  return tf.reshape(tf.binary("AddV2", kept, crossed), [sides, rows, columns]);
}

export function capped(tf: TensorFlow, x: Handle, softcap: number | undefined): Handle {
  if (softcap === undefined) return x;
  return tf.binary("Mul", tf.unary("Tanh", tf.binary("Div", x, tf.scalar(softcap))), tf.scalar(softcap));
}

/**
 * softmax(scale * q k^T) v of sequences padded to the longest: [sides, sequences, key heads, group, tokens, size]. Sequence i
 * has shape.lengths[i] queries and seen[i] keys and values; its last query is at the position of its last key.
 */
export function attend(
  tf: TensorFlow,
  q: Handle,
  k: Handle,
  v: Handle,
  shape: AttentionShape,
  seen: readonly number[],
): Handle {
  const { lengths, heads, keyValueHeads } = shape;
  const size = (q.shape[2] ?? 0) / heads;
  const [queries, keys] = [padding(lengths), padding(seen)];
  const split = (x: Handle, { padded, longest }: Padding, group: number) => {
    const axes = [x.shape[0] ?? 1, lengths.length, longest, keyValueHeads, group, size];
    return tf.transpose(tf.reshape(tf.gather(x, padded, 1), axes), [0, 1, 3, 4, 2, 5]);
  };
  const scores = tf.multiply(split(q, queries, heads / keyValueHeads), split(k, keys, 1), true);
  const scaled = capped(tf, tf.binary("Mul", scores, tf.scalar(shape.scale)), shape.softcap);
  const weights = tf.unary("Softmax", tf.binary("AddV2", scaled, mask(tf, shape, seen)));
  const mixed = tf.transpose(tf.multiply(weights, split(v, keys, 1), false), [0, 1, 4, 2, 3, 5]);
  const rows = [mixed.shape[0] ?? 1, lengths.length * queries.longest, heads * size];
  return tf.gather(tf.reshape(mixed, rows), queries.packed, 1);
}

/** Puts the rows of a prefix, [sides, length, columns], before those of each sequence. Either may have one side for both. */
export function prefixed(tf: TensorFlow, prefix: Handle, x: Handle, lengths: readonly number[]): Handle {
  const before = prefix.shape[1] ?? 0;
  const sides = Math.max(prefix.shape[0] ?? 1, x.shape[0] ?? 1);
  const [first, then] = [prefix, x].map((part) =>
    part.shape[0] === sides ? part : tf.gather(part, new Int32Array(sides), 0),
  ) as [Handle, Handle];
  const rows: number[] = [];
  let start = before;
  for (const length of lengths) {
    for (let row = 0; row < before; row++) rows.push(row);
    for (let row = start; row < start + length; row++) rows.push(row);
    start += length;
  }
  return tf.gather(tf.concat([first, then], 1), Int32Array.from(rows), 1);
}

/** `padded` has the packed row at each padded position (padding repeats a row); `packed` the padded position of each row. */
interface Padding {
  readonly longest: number;
  readonly padded: Int32Array;
  readonly packed: Int32Array;
}

function padding(lengths: readonly number[]): Padding {
  const longest = Math.max(0, ...lengths);
  const padded: number[] = [];
  const packed: number[] = [];
  let start = 0;
  for (const length of lengths) {
    for (let token = 0; token < length; token++) packed.push(padded.length + token);
    for (let token = 0; token < longest; token++) padded.push(start + Math.min(token, length - 1));
    start += length;
  }
  return { longest, padded: Int32Array.from(padded), packed: Int32Array.from(packed) };
}

/** Added to masked scores. Far below any score, but finite, since infinities would make NaN. */
const masked = -1e30;

/** Masks the keys that a query must not see: [1, sequences, 1, 1, longest queries, longest keys]. */
function mask(tf: TensorFlow, shape: AttentionShape, seen: readonly number[]): Handle {
  const { lengths, causal, window = Infinity } = shape;
  const [tokens, keys] = [Math.max(0, ...lengths), Math.max(0, ...seen)];
  const values = new Float32Array(lengths.length * tokens * keys);
  lengths.forEach((length, sequence) => {
    const count = seen[sequence] ?? 0;
    for (let query = 0; query < tokens; query++) {
      const row = (sequence * tokens + query) * keys;
      const end = causal ? Math.min(count, count - length + query + 1) : count;
      values.fill(masked, row, row + Math.max(0, causal ? end - window : 0));
      values.fill(masked, row + end, row + keys);
    }
  });
  return tf.constant(values, [1, lengths.length, 1, 1, tokens, keys]);
}
