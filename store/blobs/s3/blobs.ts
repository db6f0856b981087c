/**
 * Blobs in a bucket of an S3: PREFIX/blobs/ab/abcdef... Gateways and workers share nothing but the bucket. What a reader needs
 * as a file is copied into a folder of this machine (copies.ts).
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { asDiskError } from "../../../schema/errors.ts";
import { type Blobs, type PutOptions, type StoredBlob, blobName, isHash, missingBlob, verified } from "../blobs.ts";
import { CopiedFiles } from "../copies.ts";
import { abandonedMs, hashFile, writeAndHash } from "../writing.ts";
import { S3Bucket, type BucketOptions } from "./bucket.ts";
import { copyOf } from "./download.ts";
import { uploadFile } from "./upload.ts";

export interface BucketBlobsOptions extends BucketOptions {
  /** Whether clients may load blobs from the bucket itself. */
  readonly hasLinks: boolean;
  /** Bytes of a part of an upload; for tests. */
  readonly partBytes?: number;
}

/** @throws UNAVAILABLE when the cache folder cannot be used */
export async function openBucket(
  options: BucketBlobsOptions,
  { cacheDir, cacheBytes }: { readonly cacheDir: string; readonly cacheBytes: number },
): Promise<Blobs> {
  const bucket = new S3Bucket(options);
  const copies = await CopiedFiles.open(cacheDir, cacheBytes);
  const nameOf = (sha256: string) => `blobs/${blobName(sha256)}`;
  const store = async (path: string, blob: StoredBlob, announce: PutOptions["announce"]) => {
    await announce?.(blob.sha256);
    const name = nameOf(blob.sha256);
    if ((await bucket.size(name)) !== blob.bytes) await uploadFile(bucket, name, { path, ...blob }, options.partBytes);
    return blob;
  };
  return {
    place: bucket.place,
    check: () => bucket.check(),
    probe: () => bucket.check(),
    // Some S3 do not list uploads, and nothing depends on it.
    tidy: () => abortAbandoned(bucket).catch(() => {}),
    async put(source, { maxBytes, announce } = {}) {
      if (typeof source === "string") return store(source, await hashFile(source, maxBytes), announce);
      const spooled = join(cacheDir, "incoming", randomUUID());
      try {
        return await store(spooled, await writeAndHash(spooled, source, maxBytes), announce);
      } catch (error) {
        throw asDiskError(error, `The cache folder ${cacheDir}`);
      } finally {
        await rm(spooled, { force: true });
      }
    },
    has: async (sha256) => (await bucket.size(nameOf(sha256))) !== null,
    async open(sha256, range) {
      const name = nameOf(sha256);
      const body = await bucket.get(name, range);
      if (!body) throw missingBlob(sha256, bucket.place);
      const pieces = range ? body : verified(body, sha256, `${bucket.place}/${name}`);
      return Readable.from(pieces, { objectMode: false });
    },
    local: async (sha256) => copies.use(sha256, copyOf(bucket, nameOf(sha256))),
    link: async (sha256, { disposition }) => (options.hasLinks ? bucket.link(nameOf(sha256), disposition) : null),
    async remove(sha256) {
      await bucket.remove(nameOf(sha256));
      await copies.forget(sha256);
    },
    list: () => listBlobs(bucket),
    close() {
      copies.close();
      bucket.close();
    },
  };
}

async function* listBlobs(bucket: S3Bucket): AsyncGenerator<StoredBlob> {
  for await (const { name, bytes } of bucket.list("blobs/")) {
    const sha256 = name.slice(name.lastIndexOf("/") + 1);
    if (isHash(sha256)) yield { sha256, bytes };
  }
}

/** Uploads that nobody went on with for a day. */
async function abortAbandoned(bucket: S3Bucket): Promise<void> {
  const uploads = await bucket.uploads("blobs/");
  for (const { id, name, begun } of uploads) {
    if (bucket.now() - begun.getTime() > abandonedMs) await bucket.abortUpload(name, id);
  }
}
