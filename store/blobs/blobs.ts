/**
 * Blobs: the service's files, datasets and weights, each named by its SHA-256. Where they are is behind this interface: in a
 * folder (folder.ts) or in a bucket of an S3 (bucket.ts). Nobody else can tell which.
 *
 * What must stay true: a blob appears whole or not at all; what is read is what was stored, or an error says that it is not.
 */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { SteplogError } from "../../schema/errors.ts";
import { withoutFolders } from "../../schema/folders-in-messages.ts";

export interface StoredBlob {
  readonly sha256: string;
  readonly bytes: number;
}

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A blob as a file of this machine. It stays where it is until it is released. */
export interface LocalFile {
  readonly path: string;
  /** Whether it is a copy, which may go once it is released. */
  readonly isCopy: boolean;
  release(): void;
}

export interface PutOptions {
  readonly maxBytes?: number;
  /** Called with the hash before the bytes count as stored; if it fails, they are not. */
  readonly announce?: (sha256: string) => Promise<void>;
}

export interface Blobs {
  /** In words, for messages: "the storage folder /data", "s3://bucket/prefix". */
  readonly place: string;
  /** Refuses a place that cannot be used. @throws INVALID_ARGUMENT; UNAVAILABLE while it does not answer */
  check(): Promise<void>;
  /** Whether a file could be stored now. @throws UNAVAILABLE */
  probe(): Promise<void>;
  /**
   * Stores a file, or a stream, under its SHA-256; durable before it returns. An interrupted source leaves nothing.
   * @throws PAYLOAD_TOO_LARGE, UNAVAILABLE
   */
  put(source: string | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredBlob>;
  has(sha256: string): Promise<boolean>;
  /**
   * Streams a blob. The last piece of a whole one comes only if all of it has the hash; a range is not checked.
   * @throws NOT_FOUND, UNAVAILABLE; while it is read DATA_CORRUPT and UNAVAILABLE
   */
  open(sha256: string, range?: ByteRange): Promise<Readable>;
  /** A file with these bytes, which were checked. @throws DATA_CORRUPT; UNAVAILABLE, also when it is not there, as it should be */
  local(sha256: string): Promise<LocalFile>;
  /** Where a client may load it for a while without asking us; null when there is no such place. */
  link(sha256: string, as: { readonly disposition: string }): Promise<string | null>;
  /** A blob that is not there is no error. */
  remove(sha256: string): Promise<void>;
  /** All blobs, in order of hash. */
  list(): AsyncIterable<StoredBlob>;
  /** Removes what others began to store and nobody went on with for a day. */
  tidy(): Promise<void>;
  /** Ends what is under way. */
  close(): void;
}

/** By SHA-256. */
export type PathOf = (sha256: string) => Promise<string>;

/** Runs `work` with a function from files' names to paths of this machine, which stay valid until it ends. */
export async function withFiles<Name, Result>(
  local: (name: Name) => Promise<LocalFile>,
  work: (pathOf: (name: Name) => Promise<string>) => Promise<Result>,
): Promise<Result> {
  const used: LocalFile[] = [];
  let isOver = false;
  try {
    return await work(async (name) => {
      const file = await local(name);
      if (isOver) file.release();
      else used.push(file);
      return file.path;
    });
  } finally {
    isOver = true;
    for (const file of used) file.release();
  }
}

/** ab/abcdef...: the name of a blob below its folder. Names come from clients, so only a hash may become part of a path. */
export function blobName(sha256: string): string {
  if (isHash(sha256)) return `${sha256.slice(0, 2)}/${sha256}`;
  throw new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(sha256)} is not a SHA-256 of 64 hex digits.`);
}

export function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/u.test(text);
}

/** Passes pieces on, but the last one only if all of them have the hash. @throws DATA_CORRUPT naming `where` */
export async function* verified(source: AsyncIterable<Uint8Array>, sha256: string, where: string) {
  const hash = createHash("sha256");
  let held: Uint8Array | null = null;
  for await (const piece of source) {
    if (held) yield held;
    hash.update(piece);
    held = piece;
  }
  const seen = hash.digest("hex");
  if (seen !== sha256) throw otherBytes(where, seen);
  if (held) yield held;
}

export function otherBytes(where: string, seen: string): SteplogError {
  const advice = "Restore it from a backup, or delete it and store the same bytes again.";
  return new SteplogError(
    "DATA_CORRUPT",
    `${where} was changed or is damaged: its bytes have SHA-256 ${seen}. ${advice}`,
  );
}

export function missingBlob(sha256: string, place: string, cause?: unknown): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no blob ${sha256} in ${withoutFolders(place)}.`, [], { cause });
}

export function tooLarge(maxBytes: number): SteplogError {
  return new SteplogError("PAYLOAD_TOO_LARGE", `The upload is larger than ${maxBytes} bytes.`);
}
