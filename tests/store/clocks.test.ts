/**
 * This machine's clock is wrong by days, or Postgres' is set back: leases, keys, months, webhooks and stored files go by the
 * clock that all share. Only Date is moved, as a wrong clock does: what counts durations goes on.
 */
import { createHash, randomUUID } from "node:crypto";
import { readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { defaultProjectId } from "../../schema/projects.ts";
import { CopiedFiles } from "../../store/blobs/copies.ts";
import { openFolder } from "../../store/blobs/folder.ts";
import { openBucket } from "../../store/blobs/s3/blobs.ts";
import { S3Bucket } from "../../store/blobs/s3/bucket.ts";
import type { Store } from "../../store/store.ts";
import { claimAny } from "../support/claims.ts";
import { scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { startS3, whyNoS3 } from "../support/s3/s3.ts";
import { append, directly, newInput, newTraining } from "./fixtures.ts";

const dayMs = 24 * 3_600_000;

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterEach(() => vi.useRealTimers());
afterAll(() => fixture.drop());

/** @returns the time before */
function moveClock(ms: number): number {
  const was = Date.now();
  vi.useFakeTimers({ toFake: ["Date"], now: was + ms });
  return was;
}

const timeOf = async (path: string) => (await stat(path)).mtimeMs;

describe.each([
  ["ahead", 40 * dayMs],
  ["late", -40 * dayMs],
])("a clock that is weeks %s", (_, ms) => {
  test("keys end when Postgres says so", async () => {
    const input = { projectId: defaultProjectId, name: "ci", scopes: ["read"] as const };
    const live = await store.keys.create({ ...input, expiresInS: 3_600 });
    const over = await store.keys.create({ ...input, expiresInS: 1 });
    await directly(
      fixture.url,
      (sql) => sql`update api_keys set expires_at = now() - interval '1 hour' where id = ${over.apiKey.id}`,
    );
    moveClock(ms);
    expect(await store.keys.viewerOf(live.key)).not.toBeNull();
    expect(await store.keys.viewerOf(over.key)).toBeNull();
    await expect(store.keys.delete(live.apiKey.id)).rejects.toMatchObject({ code: "INVALID_STATE" });
    await expect(store.keys.rotate(over.apiKey.id, 0)).rejects.toMatchObject({ code: "INVALID_STATE" });
    await store.keys.rotate(live.apiKey.id, 0);
    await store.keys.delete(over.apiKey.id);
  });

  test("a quota counts the month of Postgres, and says when that ends", async () => {
    await directly(fixture.url, (sql) => sql`update projects set quotas = '{"stepsAMonth": 1}'`);
    onTestFinished(() => directly(fixture.url, (sql) => sql`update projects set quotas = '{}'`).then(() => {}));
    const was = new Date(moveClock(ms));
    const error: unknown = await newInput(store)
      .then((input) => store.fineTunes.create(input))
      .catch((thrown: unknown) => thrown);
    const end = Date.UTC(was.getUTCFullYear(), was.getUTCMonth() + 1);
    expect(error).toMatchObject({ code: "QUOTA_EXCEEDED", quota: { resetsAt: new Date(end) } });
    const { retryAfterS } = error as { retryAfterS: number };
    expect(Math.abs(retryAfterS - (end - was.getTime()) / 1_000)).toBeLessThan(60);
  });

  test("webhooks are signed and dated with the time of Postgres", async () => {
    const { id } = await store.webhooks.create({ url: "https://example.com/", description: "", events: [] });
    const was = moveClock(ms);
    await store.datasets.create({ name: 'its "timestamp":""', sha256: "ab".repeat(32), bytes: 4, rows: 1 });
    await store.webhooks.test(id);
    for (const type of ["dataset.created", "webhook.test"]) {
      const claimed = await store.outbox.claim([]);
      const payload = JSON.parse(claimed?.payload ?? "") as { type: string; timestamp: string; data: { name: string } };
      expect(payload).toMatchObject({
        type,
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/u) as string,
      });
      if (type === "dataset.created") expect(payload.data.name).toBe('its "timestamp":""');
      for (const time of [payload.timestamp, claimed?.claimedAt ?? 0])
        expect(Math.abs(new Date(time).getTime() - was)).toBeLessThan(60_000);
    }
    await store.webhooks.remove(id);
  });

  test("files that others write now are not taken for abandoned ones", async () => {
    const folder = await scratch();
    await openFolder(folder);
    const [fresh, old] = ["fresh", "old"].map((name) => join(folder, "incoming", name));
    for (const path of [fresh, old]) await writeFile(path ?? "", "");
    const before = new Date(Date.now() - 2 * dayMs);
    await utimes(old ?? "", before, before);
    moveClock(ms);
    await openFolder(folder);
    expect(await readdir(join(folder, "incoming"))).toEqual(["fresh"]);
  });

  test("a copy that another machine uses stays, and the mark of a dead process that deletes one is not waited for", async () => {
    const [dir, content] = [await scratch(), Buffer.alloc(100, 1)];
    const hash = createHash("sha256").update(content).digest("hex");
    const copies = await CopiedFiles.open(dir, 1_000, 300);
    onTestFinished(() => copies.close());
    const copying = async (path: string) => {
      await writeFile(path, content);
      return hash;
    };
    (await copies.use(hash, copying)).release();
    const theirs = join(dir, "marks", `${hash}.use~elsewhere~1~1`);
    await writeFile(theirs, "");
    await writeFile(join(dir, "marks", `${hash}.leaving`), "");
    moveClock(ms);
    const start = performance.now();
    (await copies.use(hash, copying)).release();
    expect(performance.now() - start).toBeGreaterThan(250);
    await copies.forget(hash);
    expect(await readdir(join(dir, "files"))).toEqual([hash]);
    const hoursAgo = new Date((await timeOf(theirs)) - 5 * 3_600_000);
    await utimes(theirs, hoursAgo, hoursAgo);
    await copies.forget(hash);
    expect(await readdir(join(dir, "files"))).toEqual([]);
  });

  test.skipIf(whyNoS3 !== null)(
    "a bucket stores, links last their hour, and uploads go on",
    { timeout: 60_000 },
    async () => {
      const s3 = await startS3();
      onTestFinished(() => s3.end());
      const options = { ...s3.options, prefix: `${randomUUID()}/`, partBytes: 50_000 };
      const other = new S3Bucket(options);
      onTestFinished(() => other.close());
      await other.beginUpload("blobs/ab/abcd");
      moveClock(ms);
      const blobs = await openBucket(options, { cacheDir: await scratch(), cacheBytes: 1e9 });
      onTestFinished(() => blobs.close());
      await blobs.tidy();
      expect(await other.uploads("blobs/")).toHaveLength(1);
      const path = join(await scratch(), "file");
      await writeFile(path, "stored");
      const { sha256 } = await blobs.put(path);
      const link = (await blobs.link(sha256, { disposition: "attachment" })) ?? "";
      expect(await (await fetch(link)).text()).toBe("stored");
    },
  );
});

test("when Postgres' clock is set back, the job of a dead worker does not wait as long", async () => {
  const setBack = (column: string) =>
    directly(fixture.url, (sql) => sql`update jobs set ${sql(column)} = now() + interval '3 hours'`);
  const { job } = await newTraining(store);
  await setBack("lease_expires_at");
  const next = await claimAny(store, "another");
  expect(next).toMatchObject({ id: job.id, token: job.token + 1 });
  await expect(append(store, job, 0, 1)).rejects.toMatchObject({ code: "LEASE_LOST" });
  expect(await claimAny(store, "third")).toBeNull();
  await store.repeatJob(next ?? job, { message: "UNAVAILABLE: no room", attempts: 20 });
  expect(await claimAny(store, "third")).toBeNull();
  await setBack("not_before");
  expect(await claimAny(store, "third")).toMatchObject({ id: job.id });
});
