/**
 * A file of torch.save before PyTorch 1.6: five pickles (a magic number, the version of the format, the machine's sizes, the
 * tensors, the keys of their storages), then each storage in the order of the keys: its number of elements in eight bytes, and
 * their bytes.
 */
import { open } from "node:fs/promises";
import { dtypeBytes } from "../../engine/model/files/safetensors.ts";
import type { ArchiveEntry, SavedTensors } from "./archive.ts";
import { maxPickleBytes, readRange, unusable } from "./archive.ts";
import { readLegacyPickles, storageDtypes } from "./pickle.ts";

/** @throws MODEL_INVALID for a file that torch.save did not write; PickleError */
export async function readLegacy(path: string): Promise<SavedTensors> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const head = await readRange(file, path, 0, Math.min(size, maxPickleBytes));
    const { tensors, keys, known, end } = readLegacyPickles(head);
    const storages = new Map<string, ArchiveEntry>();
    let at = end;
    for (const key of keys) {
      const storage = known.get(key);
      if (!storage || storages.has(key))
        throw unusable(path, `it lists a storage ${JSON.stringify(key)} of no tensor, or twice`);
      const elements = Number((await readRange(file, path, at, 8)).readBigUInt64LE());
      const bytes = elements * (dtypeBytes[storageDtypes.get(storage.type) ?? ""] ?? 0);
      storages.set(key, { offset: at + 8, bytes });
      at += 8 + bytes;
      if (at > size) throw unusable(path, `it ends inside the storage ${key}`);
    }
    return { tensors, storages };
  } finally {
    await file.close();
  }
}
