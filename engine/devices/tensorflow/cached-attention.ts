/**
 * Attention of one query for each sequence, as in decoding: keys and values are read where their cache has them. Heads are not
 * split apart, which would copy them: a query is a row with zeros in the columns of other heads, so that one product makes its
 * scores on rows of all heads. That is as many times the arithmetic as there are key heads, but reading the rows takes longer.
 */
import { invariant } from "../../../schema/errors.ts";
import type { AttentionShape } from "../device.ts";
import type { Constants } from "./attention.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import type { GrowingRows, TensorflowCache } from "./caches.ts";
import { capped } from "./operations.ts";

/** softmax(scale * q k^T) v in each head, for a query of each sequence: [sequences, columns of q]. Caches end with its own row. */
export function attendCached(
  tf: TensorFlow,
  q: Handle,
  caches: readonly TensorflowCache[],
  shape: AttentionShape,
  constants: Constants,
): Handle {
  const { heads, keyValueHeads, scale } = shape;
  const [sequences = 0, columns = 0] = q.shape;
  const size = columns / heads;
  const own = constants(`heads ${heads} ${keyValueHeads}`, () => ownHeads(tf, heads, keyValueHeads));
  const apart = (x: Handle, blocks: number) => tf.reshape(x, [sequences, heads, blocks, size]);
  return tf.scope(() => {
    const scaled = tf.binary("Mul", q, tf.scalar(scale));
    const spread = tf.reshape(tf.binary("Mul", apart(scaled, 1), own), [sequences * heads, keyValueHeads * size]);
    const sums = caches.map((cache, i) =>
      tf.scope(() => attendRow(tf, tf.slice(spread, i * heads, heads), cache, shape)),
    );
    const kept = tf.binary("Mul", apart(tf.concat(sums, 0), keyValueHeads), own);
    return tf.reshape(tf.reduce("Sum", kept, 2), [sequences, columns]);
  });
}

/** Each head's weighted values, of its own key head and of all others: [heads, key columns]. */
function attendRow(tf: TensorFlow, queries: Handle, { keys, values }: TensorflowCache, shape: AttentionShape): Handle {
  const { window = Infinity, softcap } = shape;
  const first = Math.max(0, keys.length - window);
  const seen = (rows: GrowingRows) => {
    const all = rows.rows();
    invariant(all, "the cache has the query's own row");
    return tf.slice(all, first, keys.length - first);
  };
  const scores = tf.product(queries, seen(keys), true);
  return tf.product(tf.unary("Softmax", capped(tf, scores, softcap)), seen(values), false);
}

/** 1 where a key head is the one that a head reads, else 0: [heads, key heads, 1]. */
function ownHeads(tf: TensorFlow, heads: number, keyValueHeads: number): Handle {
  const ones = new Float32Array(heads * keyValueHeads);
  for (let head = 0; head < heads; head++) ones[head * keyValueHeads + Math.floor((head * keyValueHeads) / heads)] = 1;
  return tf.constant(ones, [heads, keyValueHeads, 1]);
}
