/** Checks of a pass's operands, shared by all devices. A failure is a bug in a model family, never bad input. */
import { invariant } from "../../schema/errors.ts";
import type {
  Activation,
  AttentionShape,
  Device,
  HeadOptions,
  LowRankPart,
  PassOptions,
  Perturbation,
  Precision,
  RotaryShape,
  Weight,
  WeightLayout,
} from "./device.ts";

export function checkPrecision(device: Pick<Device, "name" | "precisions">, precision: Precision): void {
  invariant(device.precisions.includes(precision), `device ${device.name} multiplies in ${precision}`);
}

export function checkOptions({ products }: PassOptions, perturbation: Perturbation | null): void {
  invariant(products === undefined || !perturbation, "products are chosen for unperturbed passes");
}

export function checkCopy(rows: number, cached: number): void {
  invariant(Number.isInteger(rows) && rows >= 0 && rows <= cached, `${rows} rows are copied of ${cached} in the cache`);
}

export function checkIds(table: Weight, ids: Int32Array): void {
  const [entries = 0] = table.shape;
  invariant(
    ids.every((id) => id >= 0 && id < entries),
    `ids are rows of ${table.name}`,
  );
}

export function checkSameShape(a: Activation, b: Activation): void {
  invariant(a.rows === b.rows && a.columns === b.columns, "both operands have the same shape");
}

export function checkSlice(x: Activation, first: number, count: number): void {
  invariant(first >= 0 && count > 0 && first + count <= x.columns, "sliced columns exist");
}

export function checkGather(x: Activation, index: Int32Array): void {
  invariant(
    index.every((row) => row >= 0 && row < x.rows),
    "gathered rows exist",
  );
}

/** @returns the columns of a group */
export function checkGroups(x: Activation, weight: Weight): number {
  const [size = 0] = weight.shape;
  invariant(x.columns % size === 0, `${x.columns} columns are whole groups of ${weight.name}`);
  return size;
}

export function checkLinear(
  x: Activation,
  weight: Weight,
  layout: WeightLayout,
): { readonly inputs: number; readonly outputs: number } {
  const [first = 0, second = 0] = weight.shape;
  const [outputs, inputs] = layout === "out-in" ? [first, second] : [second, first];
  invariant(inputs === x.columns, `${weight.name} takes ${inputs} columns, not ${x.columns}`);
  return { inputs, outputs };
}

export function checkLowRank(
  y: Activation,
  x: Activation,
  parts: readonly LowRankPart[],
  perturbation: Perturbation | null,
): void {
  invariant(!perturbation, "low-rank terms are for unperturbed passes");
  invariant(y.rows === x.rows, "both operands have the same rows");
  let end = 0;
  for (const { a, b, first, rows } of parts) {
    const { outputs: rank } = checkLinear(x, a, "out-in");
    invariant(b.shape[1] === rank && b.shape[0] === y.columns, `${b.name} takes what ${a.name} gives, to y's columns`);
    invariant(rows > 0 && first >= end && first + rows <= y.rows, "runs of rows come in order and do not overlap");
    end = first + rows;
  }
}

export function checkRotary(x: Activation, { headSize, positions, frequencies }: RotaryShape): void {
  invariant(x.columns % headSize === 0, "rows are whole heads");
  invariant(positions.length === x.rows, "every row has a position");
  invariant(2 * frequencies.length <= headSize, "rotated columns are within a head");
}

export function checkAttention(
  [q, k, v]: readonly [q: Activation, k: Activation, v: Activation],
  shape: AttentionShape,
  perturbation: Perturbation | null,
): void {
  const { heads, keyValueHeads, lengths, causal, caches, prefix } = shape;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  invariant(rows === q.rows && rows === k.rows && rows === v.rows, "the sequences' lengths add up to the rows");
  invariant(heads % keyValueHeads === 0, "key and value heads divide the heads");
  invariant(q.columns % heads === 0, "rows are whole heads");
  const keyColumns = (q.columns / heads) * keyValueHeads;
  invariant(k.columns === keyColumns && v.columns === keyColumns, "keys and values have heads of the queries' size");
  invariant(
    shape.window === undefined || (causal && shape.window > 0),
    "a window has at least one position and causal attention",
  );
  if (prefix) {
    const { keys, values } = prefix;
    invariant(keys.columns === keyColumns && values.columns === keyColumns, "a prefix has heads of the keys' size");
    invariant(keys.rows > 0 && keys.rows === values.rows, "a prefix has as many keys as values");
  }
  if (!caches) return;
  invariant(causal && !perturbation, "caches are for unperturbed causal passes");
  invariant(caches.length === lengths.length, "every sequence has a cache");
}

export function checkTargets(x: Activation, head: Weight, targets: Int32Array, options: HeadOptions): void {
  const [vocab = 0] = head.shape;
  invariant(targets.length === x.rows, "every row has a target");
  invariant(
    targets.every((target) => target >= 0 && target < vocab),
    "targets are in the vocabulary",
  );
  invariant(!options.bias || options.bias.shape[0] === vocab, "the head's bias has the vocabulary's length");
}
