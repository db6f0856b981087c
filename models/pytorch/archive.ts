/**
 * A file of torch.save, since PyTorch 1.6: a zip file of stored (not compressed) entries, NAME/data.pkl, which describes the
 * tensors, and NAME/data/KEY, the bytes of each storage. It is read by ranges. Compressed, encrypted or overlapping entries,
 * which torch.save never writes, are refused, so that a small file cannot stand for a large one.
 */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Entry, ZipFile } from "yauzl";
import { RandomAccessReader, fromRandomAccessReaderPromise } from "yauzl";
import { SteplogError } from "../../schema/errors.ts";
import type { PickledTensor } from "./pickle.ts";
import { readStateDict } from "./pickle.ts";

export interface ArchiveEntry {
  readonly offset: number;
  readonly bytes: number;
}

export interface SavedTensors {
  readonly tensors: ReadonlyMap<string, PickledTensor>;
  /** Bytes of the storages, by key. */
  readonly storages: ReadonlyMap<string, ArchiveEntry>;
}

/** More than the description of any model, whose tensors take some 200 bytes each. */
export const maxPickleBytes = 64 * 1024 * 1024;
const maxEntries = 100_000;

/** @throws MODEL_INVALID for a file that torch.save does not write; PickleError */
export async function readArchive(path: string): Promise<SavedTensors> {
  const entries = await readEntries(path);
  refuseOverlaps(path, [...entries.values()]);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/u.test(name));
  const [pickleName] = pickles;
  if (pickleName === undefined || pickles.length > 1) throw unusable(path, "it is a zip file without one data.pkl");
  const root = pickleName.slice(0, -"data.pkl".length);
  await refuseOtherParts(path, root, entries);
  const storages = new Map<string, ArchiveEntry>();
  for (const [name, entry] of entries) {
    if (name.startsWith(`${root}data/`)) storages.set(name.slice(`${root}data/`.length), entry);
  }
  return { tensors: readStateDict(await readEntry(path, "data.pkl", entries.get(pickleName))), storages };
}

async function readEntries(path: string): Promise<Map<string, ArchiveEntry>> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    return await new Promise((resolve, reject) => {
      listEntries(path, new ZipReader(file, reject), size).then(resolve, reject);
    });
  } catch (error) {
    if (error instanceof SteplogError || isSystemError(error)) throw error;
    throw unusable(path, error instanceof Error ? error.message : String(error));
  } finally {
    await file.close();
  }
}

async function listEntries(path: string, reader: ZipReader, size: number): Promise<Map<string, ArchiveEntry>> {
  const zip = await fromRandomAccessReaderPromise(reader, size, { autoClose: false, strictFileNames: true });
  if (zip.entryCount > maxEntries) throw unusable(path, `it has ${zip.entryCount} entries`);
  const entries = new Map<string, ArchiveEntry>();
  for await (const entry of zip.eachEntry()) {
    if (entries.has(entry.fileName)) throw unusable(path, `it has ${entry.fileName} twice`);
    entries.set(entry.fileName, await locate(path, zip, entry));
  }
  return entries;
}

type ReadCallback = (error: Error | null, bytesRead?: number) => void;

/**
 * Reads for yauzl, which takes positions from the file as they are and goes on in callbacks, where an error that it did not
 * expect would end the process. Here such an error goes to `fail`.
 */
class ZipReader extends RandomAccessReader {
  readonly #file: FileHandle;
  readonly #fail: (error: unknown) => void;

  constructor(file: FileHandle, fail: (error: unknown) => void) {
    super();
    this.#file = file;
    this.#fail = fail;
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: ReadCallback): void {
    void this.#answer(this.#read(buffer, offset, length, position), callback);
  }

  async #answer(reading: Promise<number>, callback: ReadCallback): Promise<void> {
    const [result] = await Promise.allSettled([reading]);
    try {
      if (result.status === "fulfilled") callback(null, result.value);
      else callback(result.reason as Error);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    if (!Number.isSafeInteger(position)) throw new Error(`it refers to byte ${position}`);
    return (await this.#file.read(buffer, offset, length, position)).bytesRead;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

async function locate(path: string, zip: ZipFile, entry: Entry): Promise<ArchiveEntry> {
  if (entry.isEncrypted() || entry.compressionMethod !== 0 || entry.compressedSize !== entry.uncompressedSize) {
    throw unusable(path, `its entry ${entry.fileName} is compressed or encrypted, which torch.save never does`);
  }
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  return { offset: fileDataStart, bytes: entry.uncompressedSize };
}

function refuseOverlaps(path: string, entries: readonly ArchiveEntry[]): void {
  let end = 0;
  for (const { offset, bytes } of entries.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (offset < end) throw unusable(path, "its entries overlap");
    end = offset + bytes;
  }
}

/** constants.pkl is part of TorchScript, a program; byteorder is that of the storages. */
async function refuseOtherParts(path: string, root: string, entries: ReadonlyMap<string, ArchiveEntry>): Promise<void> {
  if (entries.has(`${root}constants.pkl`)) throw unusable(path, "it is a TorchScript program, not a file of weights");
  const order = entries.get(`${root}byteorder`);
  const text = order && (await readEntry(path, "byteorder", order)).toString("latin1");
  if (text !== undefined && text !== "little") throw unusable(path, "its numbers are not little-endian");
}

async function readEntry(path: string, name: string, entry: ArchiveEntry | undefined): Promise<Buffer> {
  if (!entry || entry.bytes > maxPickleBytes) throw unusable(path, `its ${name} has ${entry?.bytes} bytes`);
  const file = await open(path, "r");
  try {
    return await readRange(file, path, entry.offset, entry.bytes);
  } finally {
    await file.close();
  }
}

/** @throws MODEL_INVALID if the file ends before the range does */
export async function readRange(file: FileHandle, path: string, offset: number, bytes: number): Promise<Buffer> {
  const out = Buffer.alloc(bytes);
  for (let filled = 0; filled < bytes;) {
    const { bytesRead } = await file.read(out, filled, bytes - filled, offset + filled);
    if (bytesRead === 0) throw unusable(path, "it ended too soon");
    filled += bytesRead;
  }
  return out;
}

export function unusable(path: string, reason: string): SteplogError {
  const advice =
    "Steplog reads tensors that torch.save wrote, and runs no code of a file. Download or copy it again, or save the model " +
    "with save_pretrained(FOLDER, safe_serialization=True) and add that folder.";
  return new SteplogError("MODEL_INVALID", `${path} cannot be used: ${reason}. ${advice}`);
}
