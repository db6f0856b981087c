/**
 * A file of this machine becomes an object. A large one goes in parts, and is an object only once all of them are there. An
 * upload that was interrupted is gone on with by whoever stores the same bytes next: its name is their hash, and a part is
 * kept only if its tag is the MD5 of ours.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { SteplogError, invariant } from "../../../schema/errors.ts";
import type { S3Bucket, StoredPart } from "./bucket.ts";

const mebibyte = 2 ** 20;
/** Of a part. An S3 wants 5 MiB at least, and 10,000 parts at most. */
export const usualPartBytes = 16 * mebibyte;
const mostParts = 10_000;
/** Parts on their way at once. Each is in memory. */
const atOnce = 4;

/** @param partBytes of a file in parts; smaller ones go whole */
export async function uploadFile(
  bucket: S3Bucket,
  name: string,
  { path, bytes }: { readonly path: string; readonly bytes: number },
  partBytes = usualPartBytes,
): Promise<void> {
  const file = await open(path);
  try {
    if (bytes <= partBytes) await uploadWhole(bucket, name, await readPart(file, 0, bytes));
    else await uploadInParts(bucket, name, { file, bytes, partBytes: atLeast(partBytes, bytes) });
  } finally {
    await file.close();
  }
  const stored = await bucket.size(name);
  if (stored === bytes) return;
  const seen = stored === null ? "is not there" : `has ${stored} bytes`;
  throw new SteplogError("UNAVAILABLE", `${bucket.place}/${name} ${seen} after an upload of ${bytes} bytes.`);
}

/** The same for the same bytes, so that an upload can be gone on with. */
function atLeast(partBytes: number, bytes: number): number {
  if (bytes <= partBytes * mostParts) return partBytes;
  return Math.ceil(bytes / mostParts / mebibyte) * mebibyte;
}

async function uploadWhole(bucket: S3Bucket, name: string, body: Uint8Array): Promise<void> {
  await bucket.put(name, body, md5(body).toString("base64"));
}

interface Source {
  readonly file: FileHandle;
  readonly bytes: number;
  readonly partBytes: number;
}

async function uploadInParts(bucket: S3Bucket, name: string, source: Source): Promise<void> {
  const begun = (await bucket.uploads(name)).find((upload) => upload.name === name);
  const known = begun && (await bucket.parts(name, begun.id));
  const id = begun && known ? begun.id : await bucket.beginUpload(name);
  try {
    const parts = await uploadParts(bucket, name, id, source, known ?? new Map<number, StoredPart>());
    await bucket.endUpload(name, id, parts);
  } catch (error) {
    // Somebody else who stores the same bytes has ended it.
    const ended = error instanceof SteplogError && error.code === "NOT_FOUND";
    if (!ended || (await bucket.size(name)) !== source.bytes) throw ended ? interrupted(bucket, name, error) : error;
  }
}

async function uploadParts(
  bucket: S3Bucket,
  name: string,
  id: string,
  { file, bytes, partBytes }: Source,
  known: ReadonlyMap<number, StoredPart>,
): Promise<StoredPart[]> {
  const count = Math.ceil(bytes / partBytes);
  const parts: StoredPart[] = [];
  let next = 1;
  const uploadNext = async (): Promise<void> => {
    while (next <= count) {
      const number = next;
      next += 1;
      const start = (number - 1) * partBytes;
      const body = await readPart(file, start, Math.min(partBytes, bytes - start));
      const digest = md5(body);
      const kept = known.get(number);
      const isKept = kept?.bytes === body.length && kept.etag.replaceAll('"', "") === digest.toString("hex");
      const etag = isKept ? kept.etag : await bucket.putPart(name, id, number, body, digest.toString("base64"));
      parts.push({ number, etag, bytes: body.length });
    }
  };
  // After a failure the others end with their parts; what is stored is found by the next attempt.
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atOnce, count) }, uploadNext));
  for (const end of ended) if (end.status === "rejected") throw end.reason;
  return parts.toSorted((a, b) => a.number - b.number);
}

async function readPart(file: FileHandle, start: number, bytes: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, start + filled);
    invariant(bytesRead > 0, "a file that is uploaded keeps its length");
    filled += bytesRead;
  }
  return buffer;
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function interrupted(bucket: S3Bucket, name: string, cause: unknown): SteplogError {
  return new SteplogError("UNAVAILABLE", `The upload of ${bucket.place}/${name} was ended by others.`, [], { cause });
}
