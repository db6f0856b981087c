/**
 * The safetensors file format: eight bytes of header length, a JSON header of {name: {dtype, shape, data_offsets}}, then
 * the tensors' bytes, little-endian, row-major, without gaps. Read by ranges, written as a stream.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { z } from "zod";
import { refuseUnreadable } from "../../../dataset/model-text.ts";
import { SteplogError, invariant } from "../../../schema/errors.ts";
import { counted } from "../../../schema/units.ts";

/** Bytes of one element, of every dtype that the format has; some are less than a byte. */
export const dtypeBytes: Readonly<Record<string, number>> = {
  C64: 8,
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  F6_E2M3: 0.75,
  F6_E3M2: 0.75,
  F4: 0.5,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Where a tensor's bytes are stored. */
export interface TensorLocation extends TensorInfo {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

const headerSchema = z.record(
  z.string(),
  z.object({
    dtype: z.string(),
    shape: z.array(z.int().min(0)),
    data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
  }),
);

/** Far above any model's: about 200,000 tensors in one file. */
const maxHeaderBytes = 25_000_000;
const chunkBytes = 4 * 1024 * 1024;

/** @throws MODEL_INVALID for a file that is truncated, has trailing bytes, or contradicts its header */
export async function readSafetensorsHeader(path: string): Promise<TensorLocation[]> {
  await refuseUnreadable(path, Infinity);
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const text = await readHeaderText(file, path, size);
    const dataStart = 8 + Buffer.byteLength(text);
    const tensors = parseHeader(path, text).map((tensor) => ({ ...tensor, offset: tensor.offset + dataStart }));
    refuseGaps(path, tensors, dataStart, size);
    return tensors;
  } finally {
    await file.close();
  }
}

async function readHeaderText(file: FileHandle, path: string, size: number): Promise<string> {
  if (size < 8) throw damaged(path, `it has only ${counted(size, "byte")}`);
  const lengthBytes = Buffer.alloc(8);
  await file.read(lengthBytes, 0, 8, 0);
  const length = Number(lengthBytes.readBigUInt64LE());
  if (length > maxHeaderBytes) throw damaged(path, `its header claims ${counted(length, "byte")}`);
  if (8 + length > size) throw damaged(path, `it is truncated inside its header (${counted(size, "byte")})`);
  const header = Buffer.alloc(length);
  await file.read(header, 0, length, 8);
  return header.toString("utf8");
}

function parseHeader(path: string, text: string): TensorLocation[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, "its header is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw damaged(path, "its header is not a JSON object");
  const { __metadata__: _, ...fields } = value as Record<string, unknown>;
  const parsed = headerSchema.safeParse(fields);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw damaged(path, `its header is wrong at ${issue?.path.join(".")}: ${issue?.message}`);
  }
  return Object.entries(parsed.data).map(([name, entry]) => {
    const [start, end] = entry.data_offsets;
    const bytes = end - start;
    const expected = expectedBytes(path, name, entry.dtype, entry.shape);
    if (bytes !== expected) {
      throw damaged(
        path,
        `tensor ${name} has ${counted(bytes, "byte")} where ${entry.dtype} [${entry.shape.join(",")}] needs ${expected}`,
      );
    }
    return { name, dtype: entry.dtype, shape: entry.shape, path, offset: start, bytes };
  });
}

function expectedBytes(path: string, name: string, dtype: string, shape: readonly number[]): number {
  const size = dtypeBytes[dtype];
  if (size === undefined) throw damaged(path, `tensor ${name} has the unknown dtype ${dtype}`);
  return shape.reduce((product, length) => product * length, size);
}

function refuseGaps(path: string, tensors: readonly TensorLocation[], dataStart: number, size: number): void {
  let at = dataStart;
  for (const tensor of tensors.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.offset !== at) throw damaged(path, `tensor ${tensor.name} overlaps another or leaves a gap`);
    at += tensor.bytes;
    if (at > size) throw damaged(path, `it is truncated: tensor ${tensor.name} ends at byte ${at} of ${size}`);
  }
  if (at !== size) throw damaged(path, `${counted(size - at, "byte")} after its last tensor`);
}

export function damaged(path: string, reason: string, cause?: unknown): SteplogError {
  const advice = "Download or copy the file again.";
  return new SteplogError("MODEL_INVALID", `${path} is damaged: ${reason}. ${advice}`, [], { cause });
}

/** A tensor's bytes, in chunks of 4 MiB and the rest. */
export async function* readTensorChunks(tensor: TensorLocation): AsyncGenerator<Uint8Array, undefined> {
  const file = await open(tensor.path, "r");
  try {
    for (let at = 0; at < tensor.bytes;) {
      const length = Math.min(chunkBytes, tensor.bytes - at);
      const chunk = Buffer.alloc(length);
      for (let filled = 0; filled < length;) {
        const { bytesRead } = await file.read(chunk, filled, length - filled, tensor.offset + at + filled);
        if (bytesRead === 0) throw damaged(tensor.path, `it ended inside tensor ${tensor.name}`);
        filled += bytesRead;
      }
      yield chunk;
      at += length;
    }
  } finally {
    await file.close();
  }
}

/** A tensor's bytes. `beforeChunk` is waited for before each chunk is copied; what it throws ends the reading. */
export async function readTensor(tensor: TensorLocation, beforeChunk?: () => Promise<void>): Promise<Uint8Array> {
  const out = new Uint8Array(tensor.bytes);
  let at = 0;
  for await (const chunk of readTensorChunks(tensor)) {
    await beforeChunk?.();
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** The bytes of a safetensors file. `read` supplies the bytes of each tensor in turn. */
export async function* writeSafetensors<T extends TensorInfo>(
  tensors: readonly T[],
  read: (tensor: T) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield encodeHeader(tensors);
  for (const tensor of tensors) {
    let written = 0;
    for await (const chunk of read(tensor)) {
      written += chunk.length;
      yield chunk;
    }
    invariant(written === bytesOf(tensor), `tensor ${tensor.name} was written whole`);
  }
}

function encodeHeader(tensors: readonly TensorInfo[]): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const tensor of tensors) {
    const end = offset + bytesOf(tensor);
    header[tensor.name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const padding = (8 - (Buffer.byteLength(text) % 8)) % 8;
  const json = Buffer.from(text + " ".repeat(padding));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
}

/** Bytes of a tensor. */
export function bytesOf(tensor: TensorInfo): number {
  const size = dtypeBytes[tensor.dtype];
  invariant(size !== undefined, `${tensor.dtype} is a known dtype`);
  return tensor.shape.reduce((product, length) => product * length, size);
}
