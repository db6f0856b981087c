/** The tensors of a file that torch.save wrote: what they are, and their bytes in row-major order. */
import { open } from "node:fs/promises";
import { refuseUnreadable } from "../../dataset/model-text.ts";
import type { TensorInfo } from "../../engine/model/files/safetensors.ts";
import { bytesOf, dtypeBytes } from "../../engine/model/files/safetensors.ts";
import { invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { SavedTensors } from "./archive.ts";
import { readArchive, readRange, unusable } from "./archive.ts";
import { readLegacy } from "./legacy.ts";
import type { PickledTensor } from "./pickle.ts";
import { PickleError, storageDtypes } from "./pickle.ts";

export interface PyTorchTensor extends TensorInfo {
  readonly path: string;
  /** Byte of the file at which element 0 is. */
  readonly offset: number;
  /** Elements between neighbours in each dimension. */
  readonly strides: readonly number[];
}

const chunkBytes = 4 * 1024 * 1024;
/** A tensor whose elements are not in order is put in order in memory; such weights are rare, and small. */
const maxGatheredBytes = 1024 ** 3;

/** @throws MODEL_INVALID for a file with anything but tensors, or whose tensors are not all in it */
export async function readPyTorchHeader(path: string): Promise<PyTorchTensor[]> {
  const { tensors, storages } = await readSaved(path);
  return [...tensors].map(([name, tensor]) => {
    const entry = storages.get(tensor.storage.key);
    const dtype = storageDtypes.get(tensor.storage.type) ?? "";
    const size = dtypeBytes[dtype];
    invariant(size !== undefined, `${dtype} is a known dtype`);
    if (!entry || entry.bytes !== tensor.storage.elements * size) {
      throw unusable(
        path,
        `the storage of ${name} has ${entry?.bytes ?? "no"} bytes where ${tensor.storage.elements} ${dtype} belong`,
      );
    }
    refuseOutside(path, name, tensor);
    const { shape, strides } = tensor;
    return { name, dtype, shape, strides, path, offset: entry.offset + tensor.offset * size };
  });
}

async function readSaved(path: string): Promise<SavedTensors> {
  await refuseUnreadable(path, Infinity);
  try {
    return (await startsLikePickle(path)) ? await readLegacy(path) : await readArchive(path);
  } catch (error) {
    if (error instanceof PickleError) throw unusable(path, `its pickle ${error.message}`);
    throw error;
  }
}

/** A zip file starts otherwise. */
async function startsLikePickle(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, 0);
    return bytesRead === 1 && buffer[0] === 0x80;
  } finally {
    await file.close();
  }
}

/** Every element must be in the storage. */
function refuseOutside(path: string, name: string, { storage, offset, shape, strides }: PickledTensor): void {
  const empty = shape.includes(0);
  const last = shape.reduce((sum, length, i) => sum + (length - 1) * (strides[i] ?? 0), offset);
  const inside = empty ? offset <= storage.elements : last < storage.elements;
  const countable = Number.isSafeInteger(shape.reduce((product, length) => product * length, 8));
  if (!inside || !countable) {
    const view = `shape [${shape.join(",")}], strides [${strides.join(",")}], offset ${offset}`;
    throw unusable(path, `${name} (${view}) reaches outside its storage of ${counted(storage.elements, "element")}`);
  }
}

/** The tensor's bytes, in chunks of 4 MiB and the rest. */
export async function* readPyTorchTensor(tensor: PyTorchTensor): AsyncGenerator<Uint8Array, undefined> {
  const total = bytesOf(tensor);
  const ordered = isInOrder(tensor);
  const file = await open(tensor.path, "r");
  try {
    const gathered = ordered ? null : await gather(tensor, (at, bytes) => readRange(file, tensor.path, at, bytes));
    for (let at = 0; at < total;) {
      const length = Math.min(chunkBytes, total - at);
      yield gathered?.subarray(at, at + length) ?? (await readRange(file, tensor.path, tensor.offset + at, length));
      at += length;
    }
  } finally {
    await file.close();
  }
}

/** Whether the elements are stored in row-major order, one after the other. */
function isInOrder({ shape, strides }: PyTorchTensor): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const length = shape[i] ?? 0;
    if (length !== 1 && strides[i] !== expected) return shape.includes(0);
    expected *= length;
  }
  return true;
}

/** Transposed, cut out of a larger tensor, or with elements that several places share. */
async function gather(
  tensor: PyTorchTensor,
  read: (at: number, bytes: number) => Promise<Buffer>,
): Promise<Uint8Array> {
  const { name, shape, strides, dtype, path } = tensor;
  const size = dtypeBytes[dtype] ?? 0;
  const span = size * shape.reduce((sum, length, i) => sum + (length - 1) * (strides[i] ?? 0), 1);
  const total = bytesOf(tensor);
  if (Math.max(span, total) > maxGatheredBytes) {
    throw unusable(path, `${name} is larger than 1 GiB and not stored in order`);
  }
  const source = await read(tensor.offset, span);
  const out = Buffer.alloc(total);
  const at = shape.map(() => 0);
  for (let to = 0; to < total; to += size) {
    const from = size * at.reduce((sum, index, i) => sum + index * (strides[i] ?? 0), 0);
    source.copy(out, to, from, from + size);
    advance(at, shape);
  }
  return out;
}

/** The next index in row-major order. */
function advance(at: number[], shape: readonly number[]): void {
  for (let i = at.length - 1; i >= 0; i--) {
    const next = (at[i] ?? 0) + 1;
    if (next < (shape[i] ?? 0)) {
      at[i] = next;
      return;
    }
    at[i] = 0;
  }
}
