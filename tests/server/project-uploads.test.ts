/** Uploads of projects: each sees its own, and what a project that is erased had begun goes with it, from every gateway. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { operator, scopes } from "../../schema/projects.ts";
import { rows, testServer, type TestServer } from "./harness.ts";

const tus = { "tus-resumable": "1.0.0" };
const body = new TextEncoder().encode(rows(20));

/** Begins an upload, and sends some of it. Where it is. */
async function begin(gateway: string, key: string, { bytes = 10, more = {} } = {}): Promise<string> {
  const headers = { ...tus, authorization: `Bearer ${key}`, ...more };
  const length = { "upload-length": String(body.length) };
  const made = await fetch(`${gateway}/uploads`, { method: "POST", headers: { ...headers, ...length } });
  expect(made.status).toBe(201);
  const url = made.headers.get("location") ?? "";
  const sending = { ...headers, "content-type": "application/offset+octet-stream", "upload-offset": "0" };
  const sent = await fetch(url, { method: "PATCH", headers: sending, body: body.slice(0, bytes) });
  expect(sent.status).toBe(204);
  return url;
}

const statusOf = async (url: string, key: string) =>
  (await fetch(url, { method: "HEAD", headers: { ...tus, authorization: `Bearer ${key}` } })).status;

/** Keys of the default project and of two others. */
async function threeKeys({ store }: TestServer) {
  const { administration } = store.of(operator);
  const keyOf = async (projectId?: string) =>
    (await administration.createKey({ name: "a key", scopes: [...scopes], expiresInS: null, projectId })).key;
  const boss = await keyOf();
  const gone = await administration.createProject("gone");
  const stays = await administration.createProject("stays");
  return { administration, boss, gone, stays, mine: await keyOf(gone.id), theirs: await keyOf(stays.id) };
}

test("a key uploads for its own project, whatever its headers say, and no other project's key finds it", async () => {
  const server = await testServer();
  onTestFinished(() => server.dispose());
  const { boss, gone, mine, theirs } = await threeKeys(server);
  const url = await begin(server.url, theirs, { bytes: body.length, more: { "x-steplog-project": gone.id } });
  for (const [key, status] of [
    [theirs, 200],
    [mine, 404],
    [boss, 404],
  ] as const)
    expect(await statusOf(url, key)).toBe(status);
  const create = async (key: string) => {
    const query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { rows } }";
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables: { input: { name: "uploaded", uploadId: url } } }),
    });
    return (await response.json()) as object;
  };
  expect(await create(mine)).toMatchObject({ errors: [{ extensions: { code: "NOT_FOUND" } }] });
  expect(await create(theirs)).toMatchObject({ data: { createDataset: { rows: 20 } } });
});

test("what an erased project has uploaded goes within seconds, at the gateways that have it, and nothing else", async () => {
  const server = await testServer();
  const uploadsDir = await mkdtemp(join(tmpdir(), "steplog-uploads-"));
  const second = await server.another({ uploadsDir });
  onTestFinished(async () => {
    await second.close();
    await server.dispose();
    await rm(uploadsDir, { recursive: true });
  });
  const { administration, boss, gone, mine, theirs } = await threeKeys(server);
  const gateways = [server.url, second.url];
  const erased = await Promise.all(gateways.map((gateway) => begin(gateway, mine)));
  const kept = await Promise.all(gateways.flatMap((gateway) => [begin(gateway, theirs), begin(gateway, boss)]));
  const files = async () =>
    (await Promise.all([server.uploadsDir, uploadsDir].map((folder) => readdir(folder)))).flat();
  const ofErased = async () => (await files()).filter((name) => name.includes(gone.id));
  expect(await ofErased()).toHaveLength(4);
  for (const url of erased) expect(await statusOf(url, mine)).toBe(200);

  await administration.eraseProject(gone.id, "gone");
  await expect.poll(ofErased, { timeout: 10_000 }).toEqual([]);
  for (const url of erased) {
    expect(await statusOf(url, mine)).toBe(401);
    for (const other of [theirs, boss]) expect(await statusOf(url, other)).toBe(404);
  }
  expect(await files()).toHaveLength(8);
  for (const [index, url] of kept.entries()) expect(await statusOf(url, index % 2 === 0 ? theirs : boss)).toBe(200);

  // A gateway that was down removes its own when it starts.
  await second.close();
  const late = join(uploadsDir, `${gone.id}.${"0".repeat(32)}`);
  await writeFile(late, "late");
  const again = await server.another({ uploadsDir });
  await expect.poll(ofErased, { timeout: 10_000 }).toEqual([]);
  await again.close();
});
