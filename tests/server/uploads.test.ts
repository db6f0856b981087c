/** Uploads by the tus protocol: a broken connection loses only the bytes in flight. */
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteFile } from "hyparquet-writer";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { rows, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const tus = { "tus-resumable": "1.0.0" };
const patchHeaders = { ...tus, "content-type": "application/offset+octet-stream" };

async function start(bytes: number): Promise<string> {
  const response = await fetch(`${server.url}/uploads`, {
    method: "POST",
    headers: { ...tus, "upload-length": String(bytes) },
  });
  expect(response.status).toBe(201);
  return response.headers.get("location") ?? "";
}

const offsetOf = async (url: string) =>
  Number((await fetch(url, { method: "HEAD", headers: tus })).headers.get("upload-offset"));

const send = (url: string, offset: number, body: Uint8Array<ArrayBuffer>) =>
  fetch(url, { method: "PATCH", headers: { ...patchHeaders, "upload-offset": String(offset) }, body });

const create = (uploadId: string) =>
  server.gql<{ createDataset: { rows: number; bytes: number } }>(
    "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { rows bytes } }",
    { input: { name: "uploaded", uploadId } },
  );

/** Sends the first bytes of a longer body, then breaks the connection. */
function breakOff(url: string, body: Uint8Array, after: number): Promise<void> {
  return new Promise((resolve) => {
    const headers = { ...patchHeaders, "upload-offset": "0", "content-length": String(body.length) };
    const patch = request(url, { method: "PATCH", headers });
    patch.on("error", () => resolve());
    patch.on("close", () => resolve());
    patch.write(body.subarray(0, after), () => setTimeout(() => patch.destroy(), 100));
  });
}

test("an upload resumes after a broken connection and becomes a dataset", async () => {
  const body = new TextEncoder().encode(rows(50_000));
  const url = await start(body.length);
  expect(url.startsWith(`${server.url}/uploads/`)).toBe(true);
  await breakOff(url, body, 500_000);
  const early = await create(url);
  expect(early.errors?.[0]?.extensions.code).toBe("INVALID_STATE");

  const offset = await offsetOf(url);
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThanOrEqual(500_000);
  expect((await send(url, offset, body.slice(offset))).status).toBe(204);
  expect(await offsetOf(url)).toBe(body.length);

  expect((await create(url)).data?.createDataset).toEqual({ rows: 50_000, bytes: body.length });
  const again = await create(url);
  expect(again.errors?.[0]?.extensions).toMatchObject({ code: "NOT_FOUND", issues: [{ field: "input.uploadId" }] });
  expect((await fetch(url, { method: "HEAD", headers: tus })).status).toBe(404);
});

test("the id of an upload works like its URL", async () => {
  const body = new TextEncoder().encode(rows(3));
  const url = await start(body.length);
  await send(url, 0, body);
  expect((await create(url.split("/").at(-1) ?? "")).data?.createDataset.rows).toBe(3);
});

test("a parquet file is stored as JSON Lines, converted if its task is given", async () => {
  const folder = await mkdtemp(join(tmpdir(), "steplog-parquet-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "rows.parquet");
  const column = (name: string, data: unknown[], type: "STRING" | "INT64") => ({ name, data, type });
  const columnsOf = async (...columnData: ReturnType<typeof column>[]) => {
    parquetWriteFile({ filename: file, rowGroupSize: 2, columnData });
    return new Uint8Array(await readFile(file));
  };
  const stored = async (sha256: string) => text(await server.store.blobs.open(sha256));

  const plain = await columnsOf(
    column("prompt", ["a", "b", "c"], "STRING"),
    column("completion", [" x", " y", " z"], "STRING"),
  );
  const url = await start(plain.length);
  await send(url, 0, plain);
  const created = await server.ask<{ createDataset: { rows: number; sha256: string } }>(
    "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { rows sha256 } }",
    { input: { name: "parquet", uploadId: url } },
  );
  expect(await stored(created.createDataset.sha256)).toBe(
    ["a", "b", "c"].map((prompt, i) => `{"prompt":"${prompt}","completion":" ${"xyz"[i]}"}\n`).join(""),
  );

  const task = await columnsOf(
    column("sentence", ["bad", "good", "fine"], "STRING"),
    column("label", [0n, 1n, 1n], "INT64"),
  );
  const post = (query: string, body = task) => fetch(`${server.url}/datasets?${query}`, { method: "POST", body });
  const answer = (await (await post("name=sst2&preset=SST2")).json()) as { rows: number; sha256: string };
  expect(answer.rows).toBe(3);
  expect(await stored(answer.sha256)).toContain('" great"');

  const refused = async (query: string, body?: Uint8Array<ArrayBuffer>) =>
    ((await (await post(query, body)).json()) as { errors: { extensions: object }[] }).errors[0]?.extensions;
  expect(await refused("name=x&preset=SST3")).toMatchObject({
    code: "INVALID_ARGUMENT",
    issues: [{ field: "preset" }],
  });
  expect(await refused("name=x")).toMatchObject({
    code: "DATASET_INVALID",
    issues: expect.arrayContaining([expect.objectContaining({ line: 3, field: "prompt" })]) as unknown,
  });
  expect(await refused("name=x&preset=RTE")).toMatchObject({ code: "DATASET_INVALID" });
  const cut = task.slice(0, task.length - 9);
  expect(await refused("name=x&preset=SST2", cut)).toMatchObject({ code: "DATASET_INVALID" });
  // A file with damaged metadata is refused.
  const metadata = Buffer.from(task);
  expect(
    await refused("name=x&preset=SST2", new Uint8Array(metadata.fill(0xff, 8, metadata.length - 8))),
  ).toMatchObject({
    code: "DATASET_INVALID",
  });
  expect(await readdir(server.uploadsDir)).not.toContainEqual(expect.stringMatching(/^stream-/u));

  // A missing value becomes a missing field, also in rows that would otherwise be read as conversations.
  const some = await columnsOf(
    column("prompt", ["a", "b"], "STRING"),
    column("completion", [" x", " y"], "STRING"),
    column("messages", [null, null], "STRING"),
  );
  const sparse = (await (await post("name=sparse", some)).json()) as { rows: number; sha256: string };
  expect(await stored(sparse.sha256)).toBe('{"prompt":"a","completion":" x"}\n{"prompt":"b","completion":" y"}\n');
});

test("wrong rows are reported, and the upload is deleted", async () => {
  const body = new TextEncoder().encode(`${rows(3)}\nx`);
  const url = await start(body.length);
  await send(url, 0, body);
  expect((await create(url)).errors?.[0]?.extensions).toMatchObject({ code: "DATASET_INVALID", issues: [{ line: 4 }] });
  expect((await create(url)).errors?.[0]?.extensions.code).toBe("NOT_FOUND");
});

test("uploads are removed after a day", async () => {
  const body = new TextEncoder().encode(rows(3));
  const [old, fresh] = [await start(body.length), await start(body.length)];
  for (const url of [old, fresh]) await send(url, 0, body);
  const [oldId = "", freshId = ""] = [old, fresh].map((url) => url.split("/").at(-1));
  const dayAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  const info = join(server.uploadsDir, `${oldId}.json`);
  await writeFile(
    info,
    JSON.stringify({ ...JSON.parse(await readFile(info, "utf8")), creation_date: dayAgo.toISOString() }),
  );
  await writeFile(join(server.uploadsDir, "stream-old"), "x");
  await utimes(join(server.uploadsDir, "stream-old"), dayAgo, dayAgo);
  await (await server.another()).close();
  const left = await readdir(server.uploadsDir);
  expect(left).toContain(freshId);
  expect(left).not.toContain(oldId);
  expect(left).not.toContain("stream-old");
});

test("a wrong offset is a conflict", async () => {
  const url = await start(10);
  const response = await send(url, 5, new Uint8Array(5));
  expect(response.status).toBe(409);
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: "CONFLICT" } }] });
});

test("an upload that is too large is refused at the start", async () => {
  const headers = { ...tus, "upload-length": String(257 * 1024 * 1024) };
  const response = await fetch(`${server.url}/uploads`, { method: "POST", headers });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: "PAYLOAD_TOO_LARGE" } }] });
});

test.each(["nothing", "../../package.json", "..", ""])("%j is not an upload", async (id) => {
  expect((await create(id)).errors?.[0]?.extensions.code).toBe("NOT_FOUND");
});
