/** What only a bucket has: uploads in parts, copies on this machine, links, and a server that may be away. */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import type { Blobs } from "../../store/blobs/blobs.ts";
import { CopiedFiles, type CopyBlob } from "../../store/blobs/copies.ts";
import { openBucket } from "../../store/blobs/s3/blobs.ts";
import { S3Bucket } from "../../store/blobs/s3/bucket.ts";
import { copyOf } from "../../store/blobs/s3/download.ts";
import { uploadFile } from "../../store/blobs/s3/upload.ts";
import { withRetries } from "../../worker/with-retries.ts";
import { scratch } from "../support/models.ts";
import { type TestS3, startS3, whyNoS3 } from "../support/s3/s3.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const isText = (text: string) => expect.stringContaining(text) as string;

describe.skipIf(whyNoS3 !== null)("a bucket", () => {
  let s3: TestS3;
  beforeAll(async () => {
    s3 = await startS3();
  });
  afterAll(() => s3.end());

  const atNew = () => ({ ...s3.options, prefix: `${randomUUID()}/`, partBytes: 50_000 });

  async function opened(options = atNew(), cacheBytes = 1e9): Promise<Blobs & { readonly cacheDir: string }> {
    const cacheDir = join(await scratch(), "cache");
    const blobs = await openBucket(options, { cacheDir, cacheBytes });
    onTestFinished(() => blobs.close());
    return { ...blobs, cacheDir };
  }

  async function fileOf(bytes: number): Promise<{ path: string; content: Buffer; bytes: number }> {
    const path = join(await scratch(), "file");
    const content = randomBytes(bytes);
    await writeFile(path, content);
    return { path, content, bytes };
  }

  test("an upload whose server dies is not seen, and is gone on with", async () => {
    const options = atNew();
    const file = await fileOf(1_000_000);
    const name = `blobs/xx/${sha256(file.content)}`;
    let sent = 0;
    class Counting extends S3Bucket {
      override putPart(...part: Parameters<S3Bucket["putPart"]>): Promise<string> {
        sent += 1;
        if (sent === 9) void s3.kill();
        return super.putPart(...part);
      }
    }
    const bucket = new Counting(options);
    onTestFinished(() => bucket.close());
    await expect(uploadFile(bucket, name, file, 50_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await s3.start();
    expect(await bucket.size(name)).toBeNull();
    const [upload] = await bucket.uploads(name);
    const kept = (await bucket.parts(name, upload?.id ?? ""))?.size ?? 0;
    expect(kept).toBeGreaterThan(3);
    sent = 100;
    await uploadFile(bucket, name, file, 50_000);
    expect(sent - 100).toBe(20 - kept);
    expect(await bucket.size(name)).toBe(1_000_000);
    expect(await bucket.uploads(name)).toEqual([]);
  });

  test("uploads are listed however many there are, and those of yesterday end with a sweep", async () => {
    const options = atNew();
    const bucket = new S3Bucket(options);
    onTestFinished(() => bucket.close());
    const names = ["a", "b", "c", "d", "e"].map((one) => `blobs/xx/${sha256(Buffer.from(one))}`);
    for (const name of names) await bucket.beginUpload(name);
    const again = names[2] ?? "";
    await bucket.beginUpload(again);
    const listed = (await bucket.uploads("blobs/", 2)).map(({ name }) => name).toSorted();
    expect(listed).toEqual([...names, again].toSorted());
    const blobs = await openBucket(options, { cacheDir: await scratch(), cacheBytes: 1e9 });
    onTestFinished(() => blobs.close());
    await blobs.tidy();
    expect(await bucket.uploads("blobs/")).toHaveLength(6);
    const now = vi.spyOn(S3Bucket.prototype, "now").mockReturnValue(Date.now() + 25 * 3_600_000);
    onTestFinished(() => now.mockRestore());
    await blobs.tidy();
    expect(await bucket.uploads("blobs/")).toEqual([]);
  });

  test("parts of other bytes under the same name are not kept", async () => {
    const bucket = new S3Bucket(atNew());
    onTestFinished(() => bucket.close());
    const file = await fileOf(120_000);
    const name = `blobs/xx/${sha256(file.content)}`;
    const id = await bucket.beginUpload(name);
    const other = Buffer.alloc(50_000, 1);
    await bucket.putPart(name, id, 1, other, createHash("md5").update(other).digest("base64"));
    await uploadFile(bucket, name, file, 50_000);
    const stored: Uint8Array[] = [];
    for await (const piece of (await bucket.get(name)) ?? []) stored.push(piece);
    expect(Buffer.concat(stored).equals(file.content)).toBe(true);
  });

  test("while the server is away calls are UNAVAILABLE, and a worker that waits stores once it is back", async () => {
    const blobs = await opened();
    const { path, content } = await fileOf(120_000);
    await s3.kill();
    const away = { code: "UNAVAILABLE", message: isText("does not answer") };
    await expect(blobs.check()).rejects.toMatchObject(away);
    await expect(blobs.put(path)).rejects.toMatchObject(away);
    const waiting = withRetries(() => blobs.put(path), { patienceMs: 30_000 });
    await delay(300);
    await s3.start();
    expect(await waiting).toEqual({ sha256: sha256(content), bytes: 120_000 });
  });

  test("a download that breaks off goes on where it ended, in this process or the next", async () => {
    const asked: (number | undefined)[] = [];
    class Breaking extends S3Bucket {
      override async get(...[name, range]: Parameters<S3Bucket["get"]>) {
        asked.push(range?.first);
        const body = await super.get(name, range);
        return asked.length > 3 || !body ? body : broken(body);
      }
    }
    async function* broken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const piece of body) {
        yield piece.subarray(0, 1_000);
        throw new SteplogError("UNAVAILABLE", "the line broke");
      }
    }
    const options = atNew();
    const bucket = new Breaking(options);
    onTestFinished(() => bucket.close());
    const { path, content } = await fileOf(120_000);
    const { sha256: its } = await (await opened(options)).put(path);
    const name = `blobs/${its.slice(0, 2)}/${its}`;
    const to = join(await scratch(), "copy");
    await writeFile(to, content.subarray(0, 500));
    const needed: number[] = [];
    expect(await copyOf(bucket, name)(to, async (bytes) => void needed.push(bytes))).toBe(its);
    expect((await readFile(to)).equals(content)).toBe(true);
    expect(asked).toEqual([500, 1_500, 2_500, 3_500]);
    expect(needed).toEqual([119_500]);
  });

  test("settings that cannot be right are told at the start", async () => {
    const none = { ...atNew(), bucket: "no-such-bucket" };
    await expect((await opened(none)).check()).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: isText("There is no bucket for s3://no-such-bucket/"),
    });
    const { AWS_SECRET_ACCESS_KEY: secret } = process.env;
    onTestFinished(() => void Object.assign(process.env, { AWS_SECRET_ACCESS_KEY: secret }));
    process.env["AWS_SECRET_ACCESS_KEY"] = "wrong";
    await expect((await opened()).check()).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: isText("refuses the credentials (SignatureDoesNotMatch)"),
    });
  });

  test("a link gives the bytes without credentials, under the name that was asked, whole and in ranges", async () => {
    const blobs = await opened();
    const { path, content } = await fileOf(120_000);
    const { sha256: its } = await blobs.put(path);
    const link = (await blobs.link(its, { disposition: 'attachment; filename="tuned.bin"' })) ?? "";
    const answer = await fetch(link);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="tuned.bin"');
    expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true);
    const part = await fetch(link, { headers: { range: "bytes=100-199" } });
    expect([part.status, Buffer.from(await part.arrayBuffer()).equals(content.subarray(100, 200))]).toEqual([
      206,
      true,
    ]);
    expect((await fetch(link.replace(/Signature=..../u, "Signature=0000"))).status).toBe(403);
    const closed = await opened({ ...atNew(), hasLinks: false });
    expect(await closed.link(its, { disposition: "attachment" })).toBeNull();
  });
});

describe("copies on this machine", () => {
  const contents = ["one", "two", "three", "four"].map((text) => Buffer.from(text.padEnd(100, ".")));
  const [one = "", two = "", three = "", four = ""] = contents.map(sha256);
  let copied: string[] = [];
  const copying = (hash: string): CopyBlob => {
    return async (path, needRoom) => {
      await needRoom(100);
      copied.push(hash);
      const content = contents.find((bytes) => sha256(bytes) === hash) ?? Buffer.alloc(0);
      await writeFile(path, content);
      return sha256(content);
    };
  };

  async function opened(dir: string): Promise<CopiedFiles> {
    copied = [];
    const copies = await CopiedFiles.open(dir, 250);
    onTestFinished(() => copies.close());
    return copies;
  }

  test("what was used longest ago goes, never what is used; without room nothing is copied", async () => {
    const dir = await scratch();
    const copies = await opened(dir);
    const first = await copies.use(one, copying(one));
    (await copies.use(two, copying(two))).release();
    await delay(10);
    const third = await copies.use(three, copying(three));
    expect((await readdir(join(dir, "files"))).toSorted()).toEqual([one, three].toSorted());
    await expect(copies.use(four, copying(four))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: isText("Raise STEPLOG_CACHE_DISK"),
    });
    expect(await readFile(first.path)).toEqual(contents[0]);
    first.release();
    await delay(10);
    (await copies.use(four, copying(four))).release();
    expect((await readdir(join(dir, "files"))).toSorted()).toEqual([three, four].toSorted());
    third.release();
    expect(copied).toEqual([one, two, three, four]);
  });

  test("two that want the same copy wait for one; another process' use counts, a dead one's does not", async () => {
    const dir = await scratch();
    const copies = await opened(dir);
    const files = await Promise.all([1, 2, 3].map(() => copies.use(one, copying(one))));
    expect(copied).toEqual([one]);
    for (const file of files) file.release();
    await delay(20);
    expect((await readdir(join(dir, "marks"))).some((mark) => mark.includes(".use~"))).toBe(false);
    (await copies.use(two, copying(two))).release();
    await delay(20);
    const host = (await markOf(dir, copies)).split("~")[1] ?? "";
    // The test's own parent is a process that lives; no process has the other id.
    await writeFile(join(dir, "marks", `${one}.use~${host}~${process.ppid}~1`), "");
    await writeFile(join(dir, "marks", `${two}.use~${host}~4194305~1`), "");
    (await copies.use(three, copying(three))).release();
    expect((await readdir(join(dir, "files"))).toSorted()).toEqual([one, three].toSorted());
  });

  test("a copy that comes with other bytes is deleted and told", async () => {
    const dir = await scratch();
    const copies = await opened(dir);
    await expect(copies.use(one, copying(two))).rejects.toMatchObject({ code: "DATA_CORRUPT", message: isText(one) });
    expect(await readdir(join(dir, "files"))).toEqual([]);
    expect(await readdir(join(dir, "incoming"))).toEqual([]);
    (await copies.use(one, copying(one))).release();
  });

  async function markOf(dir: string, copies: CopiedFiles): Promise<string> {
    const used = await copies.use(one, copying(one));
    const name = (await readdir(join(dir, "marks"))).find((mark) => mark.includes(".use~")) ?? "";
    used.release();
    await delay(20);
    return name;
  }
});
