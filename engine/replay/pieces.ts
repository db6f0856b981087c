/**
 * Tensors as a stream of pieces, so that a model of any size passes through a bounded amount of memory, and so that one
 * piece is read while another is computed with and a third is written. A stage of such a stream is an async generator;
 * `ahead` between two stages is what makes them run at once.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { TensorLocation } from "../model/files/safetensors.ts";
import { dtypeBytes } from "../model/files/safetensors.ts";

/** Large enough that a device's threads share it well, small against any model that is worth streaming. */
export const pieceBytes = 16 * 1024 * 1024;

/** A run of elements of a stored tensor. */
export interface Piece {
  readonly tensor: TensorLocation;
  /** Flat index of the first element. */
  readonly first: number;
  /** Stored little-endian elements; the receiver's own. */
  readonly bytes: Uint8Array;
}

/** All elements of the tensors, in order, in pieces of at most `limit` bytes (of one element, where that is more). */
export async function* readPieces(tensors: readonly TensorLocation[], limit = pieceBytes): AsyncGenerator<Piece> {
  const reader = new TensorReader();
  try {
    for (const tensor of tensors) yield* piecesOf(tensor, reader, limit);
  } finally {
    await reader.close();
  }
}

async function* piecesOf(tensor: TensorLocation, reader: TensorReader, limit: number): AsyncGenerator<Piece> {
  const total = elementsOf(tensor);
  const most = Math.max(1, Math.floor(limit / bytesPerElement(tensor)));
  for (let first = 0; first < total; first += most) {
    yield { tensor, first, bytes: await reader.read(tensor, first, Math.min(most, total - first)) };
  }
}

/** Reads ranges of tensors; their files stay open until it is closed. */
export class TensorReader {
  readonly #files = new Map<string, FileHandle>();

  /** The elements first, ..., first + count - 1, as a Piece has them. @throws MODEL_INVALID when the file ends before */
  async read(tensor: TensorLocation, first: number, count: number): Promise<Uint8Array> {
    invariant(first >= 0 && first + count <= elementsOf(tensor), `elements lie in ${tensor.name}`);
    const size = bytesPerElement(tensor);
    const bytes = new Uint8Array(count * size);
    await this.#fill(bytes, tensor, first * size);
    return bytes;
  }

  async #fill(bytes: Uint8Array, tensor: TensorLocation, start: number): Promise<void> {
    const file = this.#files.get(tensor.path) ?? (await open(tensor.path, "r"));
    this.#files.set(tensor.path, file);
    for (let at = 0; at < bytes.length;) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, tensor.offset + start + at);
      if (bytesRead === 0) {
        throw new SteplogError("MODEL_INVALID", `${tensor.path} became shorter while tensor ${tensor.name} was read.`);
      }
      at += bytesRead;
    }
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
  }
}

export function elementsOf(tensor: TensorLocation): number {
  return tensor.bytes / bytesPerElement(tensor);
}

function bytesPerElement({ dtype }: TensorLocation): number {
  const size = dtypeBytes[dtype];
  invariant(size !== undefined, `${dtype} is a known dtype`);
  return size;
}

/**
 * The items of `source`, each asked for while the one before it is still being used: at most two are alive, one with
 * whoever iterates and one made or being made. Ends its source when it is ended, after what is being made.
 */
export async function* ahead<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let next = begin(iterator);
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = begin(iterator);
      yield value;
    }
  } finally {
    await next.catch(() => {});
    await iterator.return?.();
  }
}

/** A failure is seen by whoever awaits the result, later; until then it is not unhandled. */
function begin<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T, unknown>> {
  const next = iterator.next();
  next.catch(() => {});
  return next;
}
