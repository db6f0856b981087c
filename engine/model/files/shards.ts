/**
 * The files that a model's weights are written to, named as transformers names them: model.safetensors, or, above a size,
 * shards of at most that size (of one tensor, where that is more) with the index that says which tensor is in which.
 */
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TensorInfo } from "./safetensors.ts";
import { bytesOf, writeSafetensors } from "./safetensors.ts";

/** Bytes of the tensors of one file: what the hub takes whole, and what transformers 4 cut at. */
export const shardBytes = 5_000_000_000;

export const weightsName = "model.safetensors";
export const indexName = `${weightsName}.index.json`;

/** A file to be written. Read its bytes to their end before the next file is asked for. */
export interface OutputFile {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** The files of `tensors`, in this order; `read` supplies the bytes of each in turn. */
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
  /** Size. */
  readonly bytes: number;
}

/** Writes the files into a folder, durably; one that is there already is an error. */
export async function writeFiles(folder: string, files: AsyncIterable<OutputFile>): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for await (const { name, bytes } of files) {
    const path = join(folder, name);
    await writeFile(path, bytes, { flag: "wx", flush: true });
    const { size } = await stat(path);
    written.push({ path, bytes: size });
  }
  return written;
}

interface Shard<T> {
  readonly name: string;
  readonly tensors: readonly T[];
}

/** In the order given: a shard ends where the next tensor would take it above the limit. */
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
