/**
 * Tensors as a stream of pieces, so that a model of any size needs a bounded amount of memory, and one piece is read while
 * another is computed and a third written. Each stage of the stream is an async generator; `prefetch` between two stages lets
 * them run at the same time.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { TensorLocation } from "../model/files/safetensors.ts";
import { dtypeBytes } from "../model/files/safetensors.ts";

/** Large enough to keep a device's threads busy, and small compared to any model worth streaming. */
export const pieceBytes = 16 * 1024 * 1024;

/** Consecutive elements of a stored tensor. */
export interface Piece {
  readonly tensor: TensorLocation;
  /** Flat index of the first element. */
  readonly first: number;
  /** Stored little-endian elements. The receiver owns them. */
  readonly bytes: Uint8Array;
}

/** All elements of the tensors, in order, in pieces of at most `limit` bytes but at least one element. */
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

/** Reads ranges of tensors. Files stay open until `close`. */
export class TensorReader {
  readonly #files = new Map<string, FileHandle>();

  /** The stored elements first, ..., first + count - 1. @throws MODEL_INVALID if the file ends before them */
  async read(tensor: TensorLocation, first: number, count: number): Promise<Uint8Array> {
    invariant(first >= 0 && first + count <= elementsOf(tensor), `the elements are in ${tensor.name}`);
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
 * The items of `source`, each requested while the one before it is still in use. At most two exist at a time: one in use, and
 * one being made or waiting. Ending this generator ends its source, after the item being made.
 */
export async function* prefetch<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let next = requestNext(iterator);
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = requestNext(iterator);
      yield value;
    }
  } finally {
    await next.catch(() => {});
    await iterator.return?.();
  }
}

/** Whoever awaits the result sees a failure; the empty catch keeps it from counting as unhandled until then. */
function requestNext<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T, unknown>> {
  const next = iterator.next();
  next.catch(() => {});
  return next;
}
