/**
 * The update of docs/STEP_LOG.md as TensorFlow operations, piece by piece: all entries are applied to one piece before the next,
 * and a few pieces' worth of memory is enough, whatever the size of a weight. The same bits as engine/replay/update.ts.
 *
 * TensorFlow flushes subnormal numbers to zero, on CPU and GPU. A difference w - a * n of a normal w is never one, if a is 0 or at
 * least `leastScalar`: less than 2^-126 would be left of |w| > 2^-101 only, and then it is a multiple of 2^-124. A product w * d
 * is none if |w| is at least 2^-125 and |d| at least 0.5. So a piece is safe whose elements are all 0 or at least `smallest`;
 * after decays, its least element is looked at. Other pieces and entries are left to engine/replay/update.ts.
 */
import { partsOf } from "../../../schema/log-entries.ts";
import { invariant } from "../../../schema/errors.ts";
import type { LogEntries, LogEntry } from "../../../schema/step-log.ts";
import type { Noise } from "../../numbers/noise.ts";
import { tensorId } from "../../numbers/noise.ts";
import { update } from "../../replay/update.ts";
import type { TensorPiece, WeightDtype } from "../device.ts";
import { bytesPerElement } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";
import type { NoisePlace, TensorflowNoise } from "./noise.ts";
import { noiseAlignment } from "./noise.ts";
import { download, elementsOf, hasTiny, smallest, upload } from "./transfer.ts";
import type { TensorflowWeight } from "./weights.ts";

/** Training logs 0 for scalars below it (engine/numbers/scalar.ts); a log of another program may have smaller ones. */
const leastScalar = 2 ** -100;

/** Entries applied before the least element is read, and before a replay lets other work run. */
const entriesAtOnce = 16;

/** Elements that are updated. */
interface Updated extends NoisePlace {
  values: Handle;
  tiny: boolean;
}

/** Applies the entries in order. */
export function updateTensorflowWeight(
  tf: TensorFlow,
  weight: TensorflowWeight,
  entries: LogEntries,
  noise: Noise,
): void {
  invariant(weight.trainable, `${weight.name} is trainable`);
  const step: Step = { tf, source: weight.noise, dtype: weight.dtype, noise };
  for (const piece of weight.pieces) {
    for (const part of partsOf(entries, entriesAtOnce)) applyPart(step, piece, part);
    weight.noise.forget(piece);
  }
}

/** Device.replayOutside: `replay` changes the elements of one piece after the other in the host's memory. */
export async function replayOutsideTensorflow(
  tf: TensorFlow,
  weight: TensorflowWeight,
  replay: (piece: TensorPiece) => Promise<void>,
): Promise<void> {
  const { name, dtype, noise: source } = weight;
  invariant(weight.trainable, `${name} is trainable`);
  for (const piece of weight.pieces) {
    source.forget(piece);
    const bytes = download(tf, dtype, piece.values);
    await replay({ name, dtype, first: piece.first, bytes });
    putBack({ tf, dtype }, piece, bytes);
  }
}

/** Device.replay on TensorFlow's processor: the piece goes there once, and comes back with all entries applied. */
export async function replayTensorflow(
  tf: TensorFlow,
  source: TensorflowNoise,
  { name, dtype, first, bytes }: TensorPiece,
  entries: LogEntries,
  noise: Noise,
): Promise<void> {
  // Elements before the piece, so that its noise starts with a block.
  const lead = first % noiseAlignment;
  const size = bytesPerElement[dtype];
  const columns = lead + bytes.length / size;
  const stored = new Uint8Array(columns * size);
  stored.set(bytes, lead * size);
  const values = upload(tf, dtype, stored, [1, columns]);
  const place = { id: tensorId(name), first: first - lead, rows: 1, columns, kept: null };
  const piece: Updated = { ...place, values, tiny: hasTiny(dtype, bytes) };
  try {
    for (const part of partsOf(entries, entriesAtOnce)) {
      applyPart({ tf, source, dtype, noise }, piece, part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    bytes.set(download(tf, dtype, piece.values).subarray(lead * size));
  } finally {
    source.forget(piece);
    tf.free(piece.values);
  }
}

interface Step {
  readonly tf: TensorFlow;
  readonly source: TensorflowNoise;
  readonly dtype: WeightDtype;
  readonly noise: Noise;
}

function applyPart(step: Step, piece: Updated, entries: LogEntries): void {
  const { tf, dtype, noise } = step;
  if (!piece.tiny && applyOnDevice(step, piece, entries)) return;
  const stored = elementsOf(dtype, download(tf, dtype, piece.values));
  update(stored, piece.first, piece.id, noise, entries);
  putBack(step, piece, new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
}

function putBack({ tf, dtype }: Pick<Step, "tf" | "dtype">, piece: Updated, bytes: Uint8Array): void {
  replace({ tf, dtype }, piece, upload(tf, dtype, bytes, [piece.rows, piece.columns]));
  piece.tiny = hasTiny(dtype, bytes);
}

/**
 * In the memory that the piece has, without a GPU: TensorFlow keeps all memory that its tensors ever had there, and weights that
 * moved at each update would leave gaps between the activations of the next pass.
 */
function replace({ tf, dtype }: Pick<Step, "tf" | "dtype">, piece: Updated, values: Handle): void {
  if (tf.usesGpu) {
    tf.free(piece.values);
    piece.values = values;
  } else {
    tf.change("InplaceUpdate", piece.values, values, dtype === "F32" ? types.float32 : types.bfloat16);
    tf.free(values);
  }
}

/** Returns false, and leaves the piece as it is, where TensorFlow may have met subnormal numbers. */
function applyOnDevice(step: Step, piece: Updated, entries: LogEntries): boolean {
  const { tf } = step;
  let decays = false;
  for (const entry of entries) {
    if (!isSafe(entry)) return false;
    decays ||= entry.decay !== undefined && entry.decay !== 1;
  }
  if (step.dtype === "F32" && !decays && !tf.usesGpu) {
    for (const entry of entries) subtractInPlace(step, piece, entry);
    return true;
  }
  let { values } = piece;
  const looked = new Sizes(step);
  for (const entry of entries) {
    const before = values;
    values = tf.scope(() => updated(step, piece, before, entry));
    if (before !== piece.values) tf.free(before);
    if (entry.decay !== undefined && entry.decay !== 1) looked.at(values);
  }
  const safe = looked.least() >= smallest;
  if (values !== piece.values) {
    if (safe) replace(step, piece, values);
    else tf.free(values);
  }
  return safe;
}

function isSafe({ scalar, decay = 1 }: LogEntry): boolean {
  return (scalar === 0 || Math.abs(scalar) >= leastScalar) && Math.abs(decay) >= 0.5;
}

/** The least size of elements other than 0, read once for several looks. */
class Sizes {
  readonly #step: Step;
  #least: Handle | null = null;

  constructor(step: Step) {
    this.#step = step;
  }

  at(values: Handle): void {
    const { tf, dtype } = this.#step;
    const before = this.#least;
    this.#least = tf.scope(() => {
      const w = dtype === "F32" ? values : tf.cast(values, types.bfloat16, types.float32);
      const sizes = tf.unary("Abs", tf.reshape(w, [values.shape.reduce((product, size) => product * size, 1)]));
      // Zeros count as 1.
      const zeros = tf.next(tf.binary("Equal", sizes, tf.scalar(0)), (x) => tf.cast(x, types.bool, types.float32));
      const own = tf.reduce(
        "Min",
        tf.next(zeros, (x) => tf.binary("AddV2", sizes, x)),
      );
      return before ? tf.binary("Minimum", before, own) : own;
    });
    if (before) tf.free(before);
  }

  least(): number {
    if (!this.#least) return Infinity;
    const { tf } = this.#step;
    const [least = 0] = tf.floats(this.#least);
    tf.free(this.#least);
    this.#least = null;
    return least;
  }
}

/** One entry without decay, on float32. */
function subtractInPlace({ tf, source, noise }: Step, piece: Updated, { seed, scalar }: LogEntry): void {
  const step = source.scaled(piece, noise, seed, Math.abs(scalar));
  tf.change(isNegative(scalar) ? "InplaceAdd" : "InplaceSub", piece.values, step);
  tf.free(step);
}

/** w + |a| n is w - a n for a negative a, down to the sign of a zero. */
function isNegative(scalar: number): boolean {
  return scalar < 0 || Object.is(scalar, -0);
}

/** The elements after one entry; docs/STEP_LOG.md, "Update". */
function updated({ tf, source, dtype, noise }: Step, piece: Updated, values: Handle, entry: LogEntry): Handle {
  const { seed, scalar, decay } = entry;
  let w = dtype === "F32" ? values : tf.cast(values, types.bfloat16, types.float32);
  if (decay !== undefined && decay !== 1) {
    const decayed = tf.binary("Mul", w, tf.constant(Float32Array.of(decay), []));
    if (w !== values) tf.free(w);
    w = decayed;
  }
  const step = source.scaled(piece, noise, seed, Math.abs(scalar));
  const t = tf.next(step, (x) => tf.binary(isNegative(scalar) ? "AddV2" : "Sub", w, x));
  if (w !== values) tf.free(w);
  return dtype === "F32" ? t : rounded(tf, t, source.rounding(piece, seed));
}

/** The upper 16 bits of bits(t) + r. Both are freed. */
function rounded(tf: TensorFlow, t: Handle, r: Handle): Handle {
  const bits = tf.next(t, (x) => tf.bitcast(x, types.float32, types.uint32));
  const sum = tf.next(bits, (x) => tf.binary("AddV2", x, r, types.uint32));
  tf.free(r);
  const sixteen = tf.bitcast(tf.integer(16), types.int32, types.uint32);
  const upper = tf.next(sum, (x) => tf.binary("RightShift", x, sixteen, types.uint32));
  const halves = tf.next(upper, (x) => tf.cast(x, types.uint32, types.uint16));
  return tf.next(halves, (x) => tf.bitcast(x, types.uint16, types.bfloat16));
}
