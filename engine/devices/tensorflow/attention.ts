/**
 * Attention as TensorFlow operations. Scores exist for some sequences, heads and queries at a time: at most `scoreElements` of
 * them, unless a single query sees more keys. Sequences of one group are padded to its longest, and share a group only if
 * little of it is padding.
 */
import type { AttentionShape } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";
import { capped, steps } from "./operations.ts";

/** Scores of padding that a group may have however small it is. */
const freePadding = 2 ** 14;

/** Sequences whose queries and keys are consecutive rows of q, k and v [rows, columns]. */
export interface Sequence {
  readonly queries: number;
  /** The last query is at the position of the last key. */
  readonly keys: number;
}

/** Makes a constant, or finds it where the pass made it before. */
export type Constants = (key: string, make: () => Handle) => Handle;

interface Limits {
  readonly constants: Constants;
  readonly scoreElements: number;
}

interface Attention extends Limits {
  readonly tf: TensorFlow;
  readonly shape: AttentionShape;
  /** Columns of a head. */
  readonly size: number;
}

/** Sequences that are computed together, by their indexes, padded to the longest. */
interface Group {
  readonly members: readonly (Sequence & { readonly firstQuery: number; readonly firstKey: number; index: number })[];
  readonly queries: number;
  readonly keys: number;
}

/** softmax(scale * q k^T) v in each sequence and head: [rows of q, columns of q]. */
export function attend(
  tf: TensorFlow,
  [q, k, v]: readonly [Handle, Handle, Handle],
  shape: AttentionShape,
  sequences: readonly Sequence[],
  limits: Limits,
): Handle {
  const attention = { tf, shape, size: (q.shape[1] ?? 0) / shape.heads, ...limits };
  const groups = groupsOf(sequences, Math.max(1, Math.floor(limits.scoreElements / shape.heads)));
  const parts = groups.map((group) => attendGroup(attention, group, q, k, v));
  const joined = tf.concat(parts, 0);
  if (parts.length > 1) parts.forEach((part) => tf.free(part));
  return ordered(attention, joined, groups);
}

/** Puts the padded rows of the groups into the order of the packed rows. */
function ordered({ tf, constants }: Attention, x: Handle, groups: readonly Group[]): Handle {
  const order: number[] = [];
  let start = 0;
  for (const { members, queries } of groups) {
    for (const { firstQuery, queries: own } of members) {
      for (let row = 0; row < own; row++) order[firstQuery + row] = start + row;
      start += queries;
    }
  }
  return gathered(tf, constants, x, order);
}

/** Rows of x; x itself, for all rows in order. Frees x otherwise. */
function gathered(tf: TensorFlow, constants: Constants, x: Handle, rows: readonly number[]): Handle {
  if (rows.length === x.shape[0] && rows.every((row, i) => row === i)) return x;
  return tf.next(x, (y) => tf.gatherBy(y, index(tf, constants, rows), 0));
}

function index(tf: TensorFlow, constants: Constants, rows: readonly number[]): Handle {
  return constants(`rows ${rows.join()}`, () => tf.constant(Int32Array.from(rows)));
}

/** Sequences of about the same length together, as many as have at most `scores` scores in a head; the longest first. */
function groupsOf(sequences: readonly Sequence[], scores: number): Group[] {
  let [firstQuery, firstKey] = [0, 0];
  const placed = sequences.map(({ queries, keys }, at) => {
    const member = { queries, keys, firstQuery, firstKey, index: at };
    [firstQuery, firstKey] = [firstQuery + queries, firstKey + keys];
    return member;
  });
  const groups: { members: typeof placed; queries: number; keys: number; own: number }[] = [];
  for (const member of placed.toSorted((a, b) => b.keys - a.keys || a.index - b.index)) {
    const last = groups.at(-1);
    const own = member.queries * member.keys;
    if (last) {
      const queries = Math.max(last.queries, member.queries);
      const padded = queries * last.keys * (last.members.length + 1);
      if (padded <= scores && padded - last.own - own <= Math.max(freePadding, padded / 4)) {
        last.members.push(member);
        [last.queries, last.own] = [queries, last.own + own];
        continue;
      }
    }
    groups.push({ members: [member], queries: member.queries, keys: member.keys, own });
  }
  return groups;
}

/** [members * longest, columns of q] */
function attendGroup(attention: Attention, group: Group, q: Handle, k: Handle, v: Handle): Handle {
  const { tf, shape, constants, scoreElements } = attention;
  const { members, queries, keys } = group;
  const rowsOf = (first: "firstQuery" | "firstKey", own: "queries" | "keys", longest: number) =>
    members.flatMap((member) =>
      Array.from({ length: longest }, (_, row) => member[first] + Math.min(row, member[own] - 1)),
    );
  // The inputs belong to the pass, so they are not freed when all rows are taken.
  const taken = (x: Handle, rows: readonly number[]) =>
    rows.length === x.shape[0] && rows.every((row, i) => row === i) ? x : tf.gatherBy(x, index(tf, constants, rows), 0);
  const padded = [
    taken(q, rowsOf("firstQuery", "queries", queries)),
    taken(k, rowsOf("firstKey", "keys", keys)),
    taken(v, rowsOf("firstKey", "keys", keys)),
  ] as const;
  const perHead = members.length * queries * keys * (shape.heads / shape.keyValueHeads);
  const heads = Math.max(1, Math.min(shape.keyValueHeads, Math.floor(scoreElements / perHead)));
  const parts: Handle[] = [];
  for (let first = 0; first < shape.keyValueHeads; first += heads) {
    const count = Math.min(heads, shape.keyValueHeads - first);
    parts.push(attendHeads(attention, group, padded, first, count));
  }
  [q, k, v].forEach((x, i) => {
    const own = padded[i];
    if (own && own !== x) tf.free(own);
  });
  const joined = tf.concat(parts, 1);
  if (parts.length > 1) parts.forEach((part) => tf.free(part));
  return joined;
}

/** Key heads first, ..., first + count - 1: [members * longest, their columns of q]. */
function attendHeads(
  attention: Attention,
  group: Group,
  [q, k, v]: readonly [Handle, Handle, Handle],
  first: number,
  count: number,
): Handle {
  const { tf, shape, size, scoreElements } = attention;
  const { members, queries, keys } = group;
  const each = shape.heads / shape.keyValueHeads;
  const split = (x: Handle, tokens: number, heads: number) => {
    const part = tf.columns(x, first * heads * size, count * heads * size);
    const axes = tf.reshape(part, [members.length, tokens, count * heads, size]);
    if (part !== x) tf.free(part);
    return tf.next(axes, (y) => tf.transpose(y, [0, 2, 1, 3]));
  };
  const [keysOf, valuesOf] = [split(k, keys, 1), split(v, keys, 1)];
  const queriesOf = tf.next(split(q, queries, each), (y) => tf.binary("Mul", y, tf.scalar(shape.scale)));
  const most = Math.max(1, Math.min(queries, Math.floor(scoreElements / (members.length * count * each * keys))));
  const parts: Handle[] = [];
  for (let start = 0; start < queries; start += most) {
    const some = Math.min(most, queries - start);
    const rows =
      some === queries ? queriesOf : tf.part(queriesOf, [0, 0, start, 0], [members.length, count * each, some, size]);
    parts.push(attendQueries(attention, group, [rows, keysOf, valuesOf], count, { start, some }));
    if (rows !== queriesOf) tf.free(rows);
  }
  for (const handle of [queriesOf, keysOf, valuesOf]) tf.free(handle);
  const mixed = tf.concat(parts, 2);
  if (parts.length > 1) parts.forEach((part) => tf.free(part));
  return steps(tf, mixed, [
    (y) => tf.transpose(y, [0, 2, 1, 3]),
    (y) => tf.reshape(y, [members.length * queries, count * each * size]),
  ]);
}

/** q [members, heads, some, size] on keys and values [members, key heads, keys, size]; heads of a key head are consecutive. */
function attendQueries(
  attention: Attention,
  group: Group,
  [q, k, v]: readonly [Handle, Handle, Handle],
  keyHeads: number,
  range: { readonly start: number; readonly some: number },
): Handle {
  const { tf, shape } = attention;
  const [members = 0, heads = 0, some = 0, size = 0] = q.shape;
  const each = heads / keyHeads;
  // One product for all heads of a key head.
  const stacked = tf.reshape(q, [members, keyHeads, each * some, size]);
  const scores = tf.next(stacked, (x) => tf.multiply(x, k, true));
  const weights = steps(tf, scores, [
    (x) => capped(tf, x, shape.softcap),
    (x) => tf.reshape(x, [members, heads, some, group.keys]),
    (x) => masked(attention, group, x, range),
    (x) => tf.reshape(x, [members, keyHeads, each * some, group.keys]),
    (x) => tf.unary("Softmax", x),
    (x) => tf.multiply(x, v, false),
  ]);
  return tf.next(weights, (x) => tf.reshape(x, [members, heads, some, size]));
}

/** Added to masked scores. Far below any score, but finite, since infinities would make NaN. */
const never = -1e30;

/** Larger masks are made again for every layer. */
const keptMaskElements = 2 ** 18;

/** Masks the keys that a query must not see. */
function masked(
  { tf, shape, constants }: Attention,
  { members, keys, queries }: Group,
  scores: Handle,
  { start, some }: { readonly start: number; readonly some: number },
): Handle {
  const { causal, window = Infinity } = shape;
  const whole = members.every((member) => member.keys === keys);
  if (whole && (!causal || (queries === 1 && window >= keys))) return scores;
  const make = () => maskOf(tf, { members, keys, queries }, { causal, window, start, some });
  if (members.length * some * keys > keptMaskElements) {
    const mask = make();
    const made = tf.binary("AddV2", scores, mask);
    tf.free(mask);
    return made;
  }
  const lengths = members.map((member) => `${member.queries}:${member.keys}`).join();
  const mask = constants(`mask ${causal} ${window} ${start} ${some} ${lengths}`, make);
  return tf.binary("AddV2", scores, mask);
}

/** 0 for keys that a query sees, `never` for others: [members, 1, some queries, keys]. Only its bounds are copied to the device. */
function maskOf(
  tf: TensorFlow,
  { members, keys }: Group,
  range: { readonly causal: boolean; readonly window: number; readonly start: number; readonly some: number },
): Handle {
  const { causal, window, start, some } = range;
  const [firsts, ends] = [new Float32Array(members.length * some), new Float32Array(members.length * some)];
  members.forEach((member, m) => {
    for (let query = 0; query < some; query++) {
      const after = member.keys - member.queries + start + query + 1;
      const end = causal ? Math.min(member.keys, after) : member.keys;
      ends[m * some + query] = end;
      firsts[m * some + query] = causal ? Math.max(0, end - window) : 0;
    }
  });
  return tf.scope(() => {
    const places = tf.range(keys);
    const bounds = [members.length, 1, some, 1];
    const late = tf.binary("GreaterEqual", places, tf.constant(ends, bounds));
    const early = tf.binary("Less", places, tf.constant(firsts, bounds));
    const hidden = tf.cast(tf.run("LogicalOr", [late, early], {}), types.bool, types.float32);
    return tf.binary("Mul", hidden, tf.scalar(never));
  });
}
