/** An object becomes a file of this machine, from where an earlier attempt ended. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat, truncate } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../../../schema/errors.ts";
import type { CopyBlob } from "../copies.ts";
import type { S3Bucket } from "./bucket.ts";

/** Attempts in a row that bring nothing. */
const mostFailures = 4;
const pauseMs = 500;

/** @throws UNAVAILABLE, also when there is no such object */
export function copyOf(bucket: S3Bucket, name: string): CopyBlob {
  return async (path, needRoom) => {
    const bytes = await bucket.size(name);
    if (bytes === null) throw missing(bucket, name);
    let have = await sizeOf(path);
    if (have > bytes) {
      await truncate(path, 0);
      have = 0;
    }
    await needRoom(bytes - have);
    await (await open(path, "a")).close();
    const hash = createHash("sha256");
    if (have > 0) await pipeline(createReadStream(path), hash, { end: false });
    for (let failures = 0; have < bytes;) {
      const before = have;
      try {
        for await (const piece of piecesFrom(bucket, name, { path, have, bytes })) {
          hash.update(piece);
          have += piece.length;
        }
      } catch (error) {
        failures = have > before ? 1 : failures + 1;
        if (!isTemporary(error) || failures >= mostFailures) throw error;
        await delay(failures * pauseMs);
      }
    }
    return hash.digest("hex");
  };
}

interface Progress {
  readonly path: string;
  readonly have: number;
  readonly bytes: number;
}

/** The pieces from `have` on, each once it is in the file. */
async function* piecesFrom(
  bucket: S3Bucket,
  name: string,
  { path, have, bytes }: Progress,
): AsyncGenerator<Uint8Array> {
  const body = await bucket.get(name, { first: have, last: bytes - 1 });
  if (!body) throw missing(bucket, name);
  const file = await open(path, "a");
  let seen = have;
  try {
    for await (const piece of body) {
      await file.writeFile(piece);
      yield piece;
      seen += piece.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (seen < bytes)
    throw new SteplogError("UNAVAILABLE", `${bucket.place}/${name} ended after ${seen} of ${bytes} bytes.`);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

function isTemporary(error: unknown): boolean {
  return error instanceof SteplogError && error.code === "UNAVAILABLE";
}

function missing(bucket: S3Bucket, name: string): SteplogError {
  const advice = "Check that the bucket is the one that was stored into.";
  return new SteplogError("UNAVAILABLE", `${bucket.place}/${name} does not exist. ${advice}`);
}
