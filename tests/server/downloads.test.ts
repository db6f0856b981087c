/** Stored weights whose blobs are in a bucket: the gateway sends clients there, or sends the bytes itself. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type TestS3, startS3, whyNoS3 } from "../support/s3/s3.ts";
import { FakeWorker, createFineTune, globalId, testServer } from "./harness.ts";

const weights = Buffer.from(Float32Array.from({ length: 25_000 }, (_, k) => k).buffer);
const etag = `"${createHash("sha256").update(weights).digest("hex")}"`;

describe.skipIf(whyNoS3 !== null)("downloads from a bucket", () => {
  let s3: TestS3;
  beforeAll(async () => {
    s3 = await startS3();
  });
  afterAll(() => s3.end());

  /** The link of a checkpoint's weights, on a server of its own. */
  async function linkOf(changes: { readonly hasLinks?: boolean } = {}): Promise<string> {
    const server = await testServer({}, { bucket: { ...s3.options, ...changes } });
    onTestFinished(() => server.dispose());
    await createFineTune(server, { steps: 10 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(10);
    const stored = await server.store.blobs.put(Readable.from([weights]));
    const place = { entries: 10, step: 10, chain: worker.chain, weightsDigest: "cd".repeat(32) };
    const weightsFiles = [{ name: "model.safetensors", ...stored }];
    const { id } = await server.store.recordCheckpoint(worker.job, { ...place, weightsFiles });
    await worker.succeed();
    const ask = "query ($id: ID!) { checkpoint(id: $id) { weightsUrl } }";
    const found = await server.ask<{ checkpoint: { weightsUrl: string } }>(ask, { id: globalId("Checkpoint", id) });
    return found.checkpoint.weightsUrl;
  }

  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

  test("clients are sent to the bucket, and get the same bytes there, in ranges too", async () => {
    const url = await linkOf();
    const sent = await fetch(url, { redirect: "manual" });
    expect([sent.status, sent.headers.get("etag"), sent.headers.get("cache-control")]).toEqual([
      302,
      etag,
      "private, no-store",
    ]);
    expect(sent.headers.get("location")).toMatch(new RegExp(`^${s3.endpoint}/.*X-Amz-Signature=`, "u"));
    const whole = await fetch(url);
    expect(whole.headers.get("content-disposition")).toMatch(/^attachment; filename="[\w-]+-10.safetensors"$/u);
    expect((await bytesOf(whole)).equals(weights)).toBe(true);
    const part = await fetch(url, { headers: { range: "bytes=1000-1999" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 1000-1999/100000"]);
    expect((await bytesOf(part)).equals(weights.subarray(1000, 2000))).toBe(true);
    expect((await fetch(url, { headers: { "if-none-match": etag } })).status).toBe(304);
    const head = await fetch(url, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), head.headers.get("etag")]).toEqual([200, "100000", etag]);
  });

  test.each([
    ["a script of a page", {}, { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }],
    ["a client, where links are off", { hasLinks: false }, {}],
  ])("%s gets the bytes from the gateway", async (_who, changes, headers: Record<string, string>) => {
    const url = await linkOf(changes);
    const whole = await fetch(url, { headers, redirect: "error" });
    expect([whole.status, whole.headers.get("content-length"), whole.headers.get("etag")]).toEqual([
      200,
      "100000",
      etag,
    ]);
    expect((await bytesOf(whole)).equals(weights)).toBe(true);
    const part = await fetch(url, { headers: { ...headers, range: "bytes=99990-" }, redirect: "error" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 99990-99999/100000"]);
    expect((await bytesOf(part)).equals(weights.subarray(-10))).toBe(true);
  });
});
