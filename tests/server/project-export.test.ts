/** The export of a project over HTTP, by a key that may. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { operator, type Scope } from "../../schema/projects.ts";
import { checkArchive, filesOfTar } from "../../store/store.ts";
import { globalId, type TestServer, testServer } from "./harness.ts";

let server: TestServer;
let ids: readonly string[];
beforeAll(async () => {
  server = await testServer();
  const { administration } = server.store.of(operator);
  ids = [(await administration.createProject("reviews")).id, (await administration.createProject("others")).id];
});
afterAll(() => server.dispose());

async function keyOf(projectId: string, scopes: readonly Scope[]): Promise<string> {
  const { administration } = server.store.of(operator);
  return (await administration.createKey({ name: "a key", scopes, expiresInS: null, projectId })).key;
}

const exported = (id: string, key: string) =>
  fetch(`${server.url}/projects/${id}/export`, { headers: { authorization: `Bearer ${key}` } });

test("a project's admin gets it, and so does an operator, but no other key", async () => {
  const [mine = "", others = ""] = ids;
  const admin = await keyOf(mine, ["admin"]);
  const boss = await keyOf(operator.projectId, ["admin"]);
  for (const key of [admin, boss]) {
    const answer = await exported(encodeURIComponent(globalId("Project", mine)), key);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/x-tar"]);
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="reviews.tar"');
    const body = answer.body as unknown as AsyncIterable<Uint8Array>;
    expect(await checkArchive(filesOfTar(body))).toMatchObject({ project: { id: mine, name: "reviews" }, logs: 0 });
  }
  const status = async (id: string, key: string) => (await exported(id, key)).status;
  expect(await status(mine, await keyOf(others, ["admin"]))).toBe(404);
  expect(await status(crypto.randomUUID(), await keyOf(others, ["admin"]))).toBe(404);
  expect(await status(mine, await keyOf(mine, ["read", "write", "train", "infer"]))).toBe(403);
  expect(await status("x", boss)).toBe(404);
  const entries = await server.store.of(operator).audit.list({ limit: 9, projectId: mine, action: "project.exported" });
  expect(entries.map(({ actorName }) => actorName)).toEqual(["a key", "a key"]);
});
