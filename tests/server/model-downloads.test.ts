/** Clients ask for models of the hub, see how far they are, and cancel them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DownloadProgress } from "../../store/store.ts";
import { testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const add = `mutation ($input: AddBaseModelInput!) {
  addBaseModel(input: $input) { name repository revision status error { code } baseModel { name } }
}`;
const list =
  "{ modelDownloads { name status stage doneBytes totalBytes file { name doneBytes totalBytes } filesDone filesTotal error { code message } baseModel { name } } }";
const cancel = "mutation ($name: String!) { cancelModelDownload(name: $name) { status cancelRequested } }";

test("one is asked for, tells how far it is, and why it failed", async () => {
  const input = { repository: "facebook/opt-125m" };
  const asked = { name: "opt-125m", ...input, revision: "main", status: "WAITING", error: null, baseModel: null };
  for (let turn = 0; turn < 2; turn++) expect(await server.ask(add, { input })).toEqual({ addBaseModel: asked });
  const { modelDownloads } = server.store;
  await modelDownloads.claim({ worker: "w", leaseMs: 60_000 });
  const tell = async (progress: DownloadProgress) =>
    modelDownloads.renew("opt-125m", { worker: "w", leaseMs: 60_000 }, progress);
  const downloading = { stage: "downloading", doneBytes: 5e9, totalBytes: 1e10 };
  const [file, counts] = [
    { name: "a.safetensors", doneBytes: 3e9, totalBytes: 4e9 },
    { filesDone: 2, filesTotal: 7 },
  ];
  await tell({ ...downloading, files: { current: file, ...counts } });
  const running = { name: "opt-125m", status: "RUNNING", error: null, baseModel: null };
  expect(await server.ask(list)).toEqual({ modelDownloads: [{ ...running, ...downloading, file, ...counts }] });
  const hashing = { stage: "hashing", doneBytes: 1, totalBytes: 1e10 };
  await tell(hashing);
  const there = { ...running, ...hashing, file: null, filesDone: null, filesTotal: null };
  expect(await server.ask(list)).toEqual({ modelDownloads: [there] });
  await modelDownloads.finish("opt-125m", "w", { status: "FAILED", code: "UNAVAILABLE", message: "No room." });
  const error = { code: "UNAVAILABLE", message: "No room." };
  expect(await server.ask(list)).toEqual({ modelDownloads: [{ ...there, status: "FAILED", error }] });
});

test("one that runs is cancelled by its worker, one that waits at once, and one that has ended is forgotten", async () => {
  const { modelDownloads } = server.store;
  await server.ask(add, { input: { repository: "facebook/opt-125m" } });
  await modelDownloads.claim({ worker: "w", leaseMs: 60_000 });
  const asked = { cancelModelDownload: { status: "RUNNING", cancelRequested: true } };
  expect(await server.ask(cancel, { name: "opt-125m" })).toEqual(asked);
  await modelDownloads.release("opt-125m", "w");
  const over = { cancelModelDownload: { status: "CANCELLED", cancelRequested: true } };
  expect(await server.ask(cancel, { name: "opt-125m" })).toEqual(over);
  await server.ask(cancel, { name: "opt-125m" });
  expect(await server.ask(list)).toEqual({ modelDownloads: [] });
  expect(await server.ask(cancel, { name: "opt-125m" })).toEqual({ cancelModelDownload: null });
});

test.each([
  [{ repository: "../etc" }, "BAD_USER_INPUT|INVALID_ARGUMENT", "repository"],
  [{ repository: "https://hub.example/a/b" }, "BAD_USER_INPUT|INVALID_ARGUMENT", "repository"],
  [{ repository: "a/b", name: "../b" }, "BAD_USER_INPUT|INVALID_ARGUMENT", "name"],
  [{ repository: "a/bytes" }, "CONFLICT", "name"],
])("%j is refused at its field", async (input, code, field) => {
  const { errors } = await server.gql(add, { input });
  expect(errors?.[0]?.extensions.code).toMatch(new RegExp(`^(?:${code})$`, "u"));
  expect(errors?.[0]?.extensions.issues[0]?.field).toMatch(new RegExp(`${field}$`, "u"));
});

test("only an operator may", async () => {
  const project = await server.store.projects.create("another");
  const keyOf = (projectId: string, scopes: readonly ("read" | "write" | "admin")[]) =>
    server.store.keys.create({ name: scopes.join(), projectId, scopes: [...scopes], expiresInS: null });
  const { key: token } = await keyOf(project.id, ["admin"]);
  // One that begins now knows that there are keys.
  const other = await server.another();
  for (const [query, variables] of [
    [add, { input: { repository: "a/b" } }],
    [cancel, { name: "b" }],
  ] as const) {
    const answer = await fetch(`${other.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    });
    expect(await answer.text()).toContain("FORBIDDEN");
  }
  await other.close();
});
