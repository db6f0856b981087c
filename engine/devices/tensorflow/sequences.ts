/** Rows of packed sequences on the device: cut into blocks, gathered from them, and the keys and values that attention sees. */
import { invariant } from "../../../schema/errors.ts";
import type { Block, Cells } from "../recorded.ts";
import type { Sequence } from "./attention.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import type { GrowingRows, TensorflowCache } from "./caches.ts";

/** The rows of each block. */
export function cut(tf: TensorFlow, x: Handle, blocks: readonly Block[]): Handle[] {
  return blocks.map(({ first, rows }) => tf.slice(x, first, rows));
}

/** Rows of an activation, from all its blocks. */
export function rowsFrom(tf: TensorFlow, blocks: readonly Handle[], index: Int32Array): Handle {
  const order = new Int32Array(index.length);
  const parts: Handle[] = [];
  let [start, found] = [0, 0];
  for (const block of blocks) {
    const [rows = 0] = block.shape;
    const hits = [...index.keys()].filter((i) => (index[i] ?? 0) >= start && (index[i] ?? 0) < start + rows);
    hits.forEach((i) => (order[i] = found++));
    if (hits.length > 0)
      parts.push(
        tf.gather(
          block,
          Int32Array.from(hits, (i) => (index[i] ?? 0) - start),
          0,
        ),
      );
    start += rows;
  }
  const joined = tf.concat(parts, 0);
  return order.every((row, i) => row === i) ? joined : tf.gather(joined, order, 0);
}

/** Rows of an activation, with others added to those from `first` on. */
export function withRowsAdded(tf: TensorFlow, of: readonly Handle[], added: readonly Handle[], first: number): Handle {
  const [y, more] = [tf.concat(of, 0), tf.concat(added, 0)];
  const [[rows = 0], [count = 0]] = [y.shape, more.shape];
  const end = first + count;
  const sums = tf.binary("AddV2", tf.slice(y, first, count), more);
  const [before, after] = [first > 0 ? [tf.slice(y, 0, first)] : [], end < rows ? [tf.slice(y, end, rows - end)] : []];
  return tf.concat([...before, sums, ...after], 0);
}

interface Before {
  readonly caches: readonly TensorflowCache[] | undefined;
  /** Keys and values of a prefix, or nothing. */
  readonly before: readonly Cells<Handle>[];
}

/** The caches of a block's sequences, with their own rows, if each has a single query that sees nothing else; null otherwise. */
export function cachesOfQueries(
  tf: TensorFlow,
  at: Block,
  fresh: readonly [keys: Handle, values: Handle],
  lengths: readonly number[],
  { caches, before }: Before,
): readonly TensorflowCache[] | null {
  const members = membersOf(lengths, at);
  if (!caches || before.length > 0 || members.some(({ length }) => length !== 1)) return null;
  const own = members.map(({ index }) => caches[index]);
  append(tf, own, members, at, fresh);
  return own.filter((cache) => cache !== undefined);
}

/** Keys and values that the sequences of a block see: the prefix, what their caches hold, and their own rows. */
export function attended(
  tf: TensorFlow,
  at: Block,
  fresh: readonly [keys: Handle, values: Handle],
  lengths: readonly number[],
  { caches, before }: Before,
): { keys: Handle; values: Handle; sequences: Sequence[] } {
  const members = membersOf(lengths, at);
  const cached = caches && members.map(({ index }) => caches[index]);
  if (cached) append(tf, cached, members, at, fresh);
  const seen = members.map(({ length, index }) => caches?.[index]?.keys.length ?? length);
  const prefixLength = (before[0]?.[0] ?? []).reduce((sum, block) => sum + (block.shape[0] ?? 0), 0);
  const all = (part: "keys" | "values"): Handle => {
    const number = part === "keys" ? 0 : 1;
    const prefix = before[number] ? sideOf(before[number], at.side) : [];
    if (!cached && prefix.length === 0) return fresh[number];
    const rows = cached
      ? cached.map((cache) => cache?.[part].rows()).filter((each) => each !== undefined && each !== null)
      : members.map(({ start, length }) => tf.slice(fresh[number], start - at.first, length));
    return tf.concat(
      rows.flatMap((each) => [...prefix, each]),
      0,
    );
  };
  const sequences = members.map(({ length }, i) => ({ queries: length, keys: prefixLength + (seen[i] ?? 0) }));
  return { keys: all("keys"), values: all("values"), sequences };
}

function sideOf(cells: Cells<Handle>, side: number): readonly Handle[] {
  return cells[Math.min(side, cells.length - 1)] ?? [];
}

interface Member {
  readonly index: number;
  readonly start: number;
  readonly length: number;
}

/** The sequences of a block. */
function membersOf(lengths: readonly number[], { first, rows }: Block): Member[] {
  let end = 0;
  return lengths
    .map((length, index) => ({ index, length, start: (end += length) - length }))
    .filter(({ start, length }) => start >= first && start + length <= first + rows && length > 0);
}

function append(
  tf: TensorFlow,
  caches: readonly (TensorflowCache | undefined)[],
  members: readonly Member[],
  at: Block,
  fresh: readonly [keys: Handle, values: Handle],
): void {
  members.forEach(({ start, length }, i) => {
    const cache = caches[i];
    invariant(cache, "every sequence has a cache");
    const into: readonly GrowingRows[] = [cache.keys, cache.values];
    into.forEach((rows, part) => {
      tf.scope(() => {
        const own = fresh[part];
        invariant(own, "keys and values");
        rows.append(tf.slice(own, start - at.first, length));
        return [];
      });
    });
  });
}
