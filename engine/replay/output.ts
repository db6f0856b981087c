/** The last stage before tensors of a rebuild are written: conversion to the dtype that was asked for, and their hashes. */
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { invariant } from "../../schema/errors.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import { converted, storedDtype } from "../model/files/convert.ts";
import type { TensorInfo } from "../model/files/safetensors.ts";

/** The stored bytes of a tensor, in pieces of whole elements. */
type Read<T> = (tensor: T) => AsyncIterable<Uint8Array>;

export interface OutputOptions {
  /** The dtype of every tensor of the output; null or left out for each in its own: that of training, or of the base. */
  readonly dtype?: OutputDtype | null | undefined;
  /** Called with every piece of a tensor as it is written, in order. */
  readonly onWritten?: ((tensor: TensorInfo, bytes: Uint8Array) => void) | undefined;
}

export interface OutputSource<T extends TensorInfo> {
  readonly tensors: readonly T[];
  readonly read: Read<T>;
}

/** What to write of tensors that `read` supplies. */
export function outputOf<T extends TensorInfo>(
  { tensors, read }: OutputSource<T>,
  { dtype = null, onWritten }: OutputOptions,
): OutputSource<TensorInfo> {
  const sources = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    tensors: inDtype(tensors, dtype),
    async *read(tensor) {
      const source = sources.get(tensor.name);
      invariant(source, `${tensor.name} is one of the tensors above`);
      for await (const bytes of read(source)) {
        const piece = dtype === null ? bytes : converted(source, bytes, dtype);
        onWritten?.(tensor, piece);
        yield piece;
      }
    },
  };
}

export function inDtype(tensors: readonly TensorInfo[], dtype: OutputDtype | null): readonly TensorInfo[] {
  return dtype === null ? tensors : tensors.map(({ name, shape }) => ({ name, shape, dtype: storedDtype(dtype) }));
}

/** The hashes of tensors that come in pieces. */
export class TensorHashes {
  readonly #hashes = new Map<string, Hash>();

  readonly add = ({ name }: TensorInfo, bytes: Uint8Array): void => {
    this.#hashes.set(name, (this.#hashes.get(name) ?? createHash("sha256")).update(bytes));
  };

  /** By name, in hex. Call it once, after the last piece. */
  end(): ReadonlyMap<string, string> {
    return new Map([...this.#hashes].map(([name, hash]) => [name, hash.digest("hex")]));
  }
}
