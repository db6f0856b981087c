/**
 * The files that a model's weights are written to, named as in transformers: model.safetensors, or, above a size limit, shards
 * up to that limit (a larger tensor gets a shard to itself) and an index that maps tensors to shards.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { asDiskError } from "../../../schema/errors.ts";
import type { TensorInfo } from "./safetensors.ts";
import { bytesOf, writeSafetensors } from "./safetensors.ts";

/** Bytes of the tensors of one file, at most: the hub takes such files whole, and transformers 4 has the same limit. */
export const shardBytes = 5_000_000_000;

export const weightsName = "model.safetensors";
export const indexName = `${weightsName}.index.json`;

/** A file to write. Read all its bytes before asking for the next file. */
export interface OutputFile {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** The files of `tensors`, in this order. `read` supplies the bytes of each tensor in turn. */
export async function* writeModelFiles<T extends TensorInfo>(
  tensors: readonly T[],
  read: (tensor: T) => AsyncIterable<Uint8Array>,
  limit = shardBytes,
): AsyncGenerator<OutputFile> {
  const shards = cutIntoShards(tensors, limit);
  for (const shard of shards) yield { name: shard.name, bytes: writeSafetensors(shard.tensors, read) };
  if (shards.length > 1) yield { name: indexName, bytes: indexOf(shards) };
}

export interface WrittenFile {
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
}

/** Writes the files into a folder and flushes them to disk. @throws UNAVAILABLE for a full disk, or if one exists */
export async function writeFiles(folder: string, files: AsyncIterable<OutputFile>): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for await (const { name, bytes } of files) {
    const path = join(folder, name);
    const size = await writeFlushed(path, bytes).catch((error: unknown) => {
      throw asDiskError(error, `The folder ${folder}`);
    });
    written.push({ path, bytes: size });
  }
  return written;
}

/** Bytes between two flushes: a thread that is told to end waits for the one that it is in. */
const flushBytes = 64 * 1024 * 1024;

async function writeFlushed(path: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, "wx");
  let [size, flushed] = [0, 0];
  try {
    for await (const chunk of bytes) {
      await file.writeFile(chunk);
      size += chunk.length;
      if (size - flushed < flushBytes) continue;
      await file.datasync();
      flushed = size;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return size;
}

interface Shard<T> {
  readonly name: string;
  readonly tensors: readonly T[];
}

/** Keeps the order of the tensors; a shard ends before the tensor that would take it over the limit. */
function cutIntoShards<T extends TensorInfo>(tensors: readonly T[], limit: number): Shard<T>[] {
  const cuts: T[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (size > 0 && size + bytes > limit) {
      cuts.push([]);
      size = 0;
    }
    cuts.at(-1)?.push(tensor);
    size += bytes;
  }
  return cuts.map((cut, index) => ({ name: shardName(index + 1, cuts.length), tensors: cut }));
}

function shardName(number: number, count: number): string {
  if (count === 1) return weightsName;
  const digits = (value: number) => String(value).padStart(5, "0");
  return `model-${digits(number)}-of-${digits(count)}.safetensors`;
}

async function* indexOf(shards: readonly Shard<TensorInfo>[]): AsyncGenerator<Uint8Array> {
  const tensors = shards.flatMap((shard) => shard.tensors);
  const map = shards.flatMap((shard) => shard.tensors.map(({ name }) => [name, shard.name] as const));
  const index = {
    metadata: { total_size: tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0) },
    weight_map: Object.fromEntries(map),
  };
  yield Buffer.from(`${JSON.stringify(index, null, 2)}\n`);
}
