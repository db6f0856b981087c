/**
 * Every way in, by every method: without a key, with a wrong, a revoked or an expired one, with one that is over its limit, and
 * with one that lacks the scope. Each is refused by its status, and nothing is changed by what was refused.
 */
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Scope, operator } from "../../schema/projects.ts";
import { fileRoutes } from "../../server/http/file-routes.ts";
import { openAIRoutes } from "../../server/openai/routes.ts";
import type { RunningServer } from "../../server/server.ts";
import { askAs, everything } from "./everything.ts";
import { type TestServer, rows, testServer, wsClient } from "./harness.ts";

/** Some forty requests each. */
const patient = { timeout: 60_000 };

let server: TestServer;
let ids: Record<string, string>;
let boss: string;
/** Of an upload that has begun, where it is. */
let upload: string;

const tus = { "tus-resumable": "1.0.0" };
const body = new TextEncoder().encode(rows(20));

beforeAll(async () => {
  server = await testServer();
  ids = await everything(server);
  boss = await newKey(["read", "write", "infer", "admin"]);
  upload = await begun(boss);
});
afterAll(() => server.dispose());

async function newKey(scopes: readonly Scope[], expiresInS: number | null = null): Promise<string> {
  const { administration } = server.store.of(operator);
  return (await administration.createKey({ name: "key", scopes, expiresInS })).key;
}

async function revokedKey(): Promise<string> {
  const { administration } = server.store.of(operator);
  const made = await administration.createKey({
    name: "key",
    scopes: ["read", "write", "infer", "admin"],
    expiresInS: null,
  });
  await administration.revokeKey(made.apiKey.id);
  return made.key;
}

const bearer = (key: string | null): Record<string, string> => (key === null ? {} : { authorization: `Bearer ${key}` });

/** With its first ten bytes. */
async function begun(key: string): Promise<string> {
  const headers = { ...tus, ...bearer(key) };
  const length = { "upload-length": String(body.length) };
  const made = await fetch(`${server.url}/uploads`, { method: "POST", headers: { ...headers, ...length } });
  const url = made.headers.get("location") ?? expect.unreachable("it has an address");
  const sending = { ...headers, "content-type": "application/offset+octet-stream", "upload-offset": "0" };
  expect((await fetch(url, { method: "PATCH", headers: sending, body: body.slice(0, 10) })).status).toBe(204);
  return new URL(url).pathname;
}

interface Door {
  readonly name: string;
  readonly limit: "graphql" | "files" | "openai";
  /** Scopes of a key that may not. */
  readonly without: readonly Scope[];
  /** How it was answered: the status of HTTP, that of an error of GraphQL, or the code with which a socket was closed. */
  readonly knock: (at: RunningServer, key: string | null) => Promise<number>;
}

const filled = (path: string, id: string) =>
  path
    .replaceAll(/:(?:id|model)/gu, encodeURIComponent(id))
    .replace(":form", "merged")
    .replace(":name", "model.safetensors");

/** An answer of GraphQL may be 200, and its errors are in it. */
const statuses: Readonly<Record<string, number>> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, RATE_LIMITED: 429 };

interface Request {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

function overHttp(method: string, path: () => string, { headers = {}, body: sent }: Request = {}) {
  return async (at: RunningServer, key: string | null) => {
    const init = { method, headers: { ...headers, ...bearer(key) }, ...(sent !== undefined && { body: sent }) };
    const answer = await fetch(`${at.url}${path()}`, init);
    const [, code = ""] = /"code":"([A-Z_]+)"/u.exec(await answer.text()) ?? [];
    return statuses[code] ?? answer.status;
  };
}

const json = { "content-type": "application/json" };
const query = "{ fineTunes(first: 1) { nodes { id } } }";
const steps = () => `subscription { steps(fineTuneId: "${ids["FineTune"]}") { cursor } }`;

async function overWebSocket(at: RunningServer, key: string | null, text: string): Promise<number> {
  const connectionParams = key === null ? {} : { authorization: `Bearer ${key}` };
  const client = wsClient(at, { retryAttempts: 0, connectionParams });
  try {
    for await (const { errors } of client.iterate({ query: text })) return statusIn(errors);
    return 200;
  } catch (error) {
    return Array.isArray(error) ? statusIn(error) : (error as { code: number }).code;
  } finally {
    await client.dispose();
  }
}

function statusIn(errors: unknown): number {
  const [first] = (errors ?? []) as readonly { extensions?: { code?: string } }[];
  return first === undefined ? 200 : (statuses[first.extensions?.code ?? ""] ?? 500);
}

const graphqlDoors: Door[] = [
  ["POST /graphql", overHttp("POST", () => "/graphql", { headers: json, body: JSON.stringify({ query }) })],
  ["GET /graphql", overHttp("GET", () => `/graphql?query=${encodeURIComponent(query)}`)],
  ["GET /graphql, by events", overEvents("GET", () => `/graphql?query=${encodeURIComponent(steps())}`)],
  ["POST /graphql, by events", overEvents("POST", () => "/graphql")],
  ["a query over a WebSocket", (at: RunningServer, key: string | null) => overWebSocket(at, key, query)],
  ["a subscription over a WebSocket", (at: RunningServer, key: string | null) => overWebSocket(at, key, steps())],
].map(([name, knock]) => ({ name, knock, limit: "graphql", without: ["infer"] }) as Door);

function overEvents(method: "GET" | "POST", path: () => string) {
  return (at: RunningServer, key: string | null) => {
    const headers = { ...json, accept: "text/event-stream" };
    const asked = method === "GET" ? {} : { body: JSON.stringify({ query: steps() }) };
    return overHttp(method, path, { headers, ...asked })(at, key);
  };
}

const patch = { ...tus, "content-type": "application/offset+octet-stream", "upload-offset": "10" };
const uploadDoors: Door[] = [
  ["POST /uploads", overHttp("POST", () => "/uploads", { headers: { ...tus, "upload-length": "3" } })],
  ["HEAD of an upload", overHttp("HEAD", () => upload, { headers: tus })],
  ["GET of an upload", overHttp("GET", () => upload)],
  ["PATCH of an upload", overHttp("PATCH", () => upload, { headers: patch, body: body.slice(10) })],
  ["DELETE of an upload", overHttp("DELETE", () => upload, { headers: tus })],
  [
    "an upload by another method",
    overHttp("POST", () => upload, { headers: { ...tus, "x-http-method-override": "DELETE" } }),
  ],
  ["POST /datasets", overHttp("POST", () => "/datasets?name=refused", { body })],
].map(([name, knock]) => ({ name, knock, limit: "files", without: ["read", "train", "infer"] }) as Door);

const ranges = { range: "bytes=0-9" };
const fileDoors: Door[] = fileRoutes.flatMap(({ path, type }) =>
  (["GET", "HEAD"] as const).flatMap((method) =>
    [{}, ranges].map((headers) => ({
      name: `${method} ${path}${"range" in headers ? ", a part" : ""}`,
      limit: "files" as const,
      without: ["infer"] as const,
      knock: overHttp(method, () => filled(path, ids[type] ?? ""), { headers }),
    })),
  ),
);

const openAIDoors: Door[] = openAIRoutes.map(({ method, path }) => ({
  name: `${method} ${path}`,
  limit: "openai",
  // What is not there is not there for any key; who may read and delete what is, is in openai/protocol.test.ts.
  without: method === "POST" ? ["read"] : [],
  knock: overHttp(method, () => filled(path, path.includes("chat") ? `chatcmpl-${crypto.randomUUID()}` : "bytes"), {
    headers: json,
    ...(method === "POST" && {
      body: JSON.stringify({
        model: "bytes",
        ...(path.includes("chat") ? { messages: [{ role: "user", content: "x" }] } : { prompt: "x" }),
      }),
    }),
  }),
}));

const doors = [...graphqlDoors, ...uploadDoors, ...fileDoors, ...openAIDoors];

/** What each of them answered. */
async function answersOf(
  some: readonly Door[],
  at: RunningServer,
  keyOf: (door: Door) => string | null | Promise<string>,
) {
  const answers: Record<string, number> = {};
  for (const door of some) answers[door.name] = await door.knock(at, await keyOf(door));
  return answers;
}

const allOf = (some: readonly Door[], answer: (door: Door) => number) =>
  Object.fromEntries(some.map((door) => [door.name, answer(door)]));

/** What was refused has left the upload as it was, made no other one, and no dataset. */
async function nothingHasChanged(): Promise<void> {
  const head = await fetch(`${server.url}${upload}`, { method: "HEAD", headers: { ...tus, ...bearer(boss) } });
  expect([head.status, head.headers.get("upload-offset")]).toEqual([200, "10"]);
  const names = await readdir(server.uploadsDir);
  expect(names.filter((name) => !name.endsWith(".json"))).toHaveLength(1);
  const ask = askAs(server, boss);
  const { datasets } = await ask<{ datasets: { nodes: { name: string }[] } }>("{ datasets { nodes { name } } }");
  expect(datasets.nodes.map(({ name }) => name)).not.toContain("refused");
}

describe.each([
  ["no key", () => Promise.resolve(null)],
  ["a wrong key", () => Promise.resolve("steplog_wrong")],
  ["a revoked key", () => revokedKey()],
])("%s", (_what, keyOf) => {
  test("opens nothing", patient, async () => {
    const key = await keyOf();
    const answers = await answersOf(doors, server, () => key);
    expect(answers).toEqual(allOf(doors, ({ name }) => (name.includes("WebSocket") ? 4403 : 401)));
    await nothingHasChanged();
  });
});

test(
  "a key that is over its limit is refused by every method, and that of another kind is not used up",
  patient,
  async () => {
    for (const limit of ["graphql", "files", "openai"] as const) {
      const rates = { graphql: 0, openai: 0, files: 0, [limit]: 1 };
      const limited = await server.another({ rateLimits: { mode: "on", rates, proxies: 0 } });
      onTestFinished(() => limited.close());
      const key = await newKey(["read", "write", "infer", "admin"]);
      const [mine, others] = [
        doors.filter((door) => door.limit === limit),
        doors.filter((door) => door.limit !== limit),
      ];
      // The one that it has.
      await overHttp(
        "GET",
        () =>
          ({ graphql: "/graphql?query={__typename}", files: "/datasets/x/rows.jsonl", openai: "/v1/models" })[limit],
      )(limited, key);
      expect(await answersOf(mine, limited, () => key)).toEqual(allOf(mine, () => 429));
      // Nobody is counted who is nobody.
      for (let turn = 0; turn < 3; turn += 1)
        expect(String(await mine[0]?.knock(limited, null))).toMatch(/^(?:UNAUTHENTICATED|401)$/u);
      const other = others.find(({ name }) => name === "GET /graphql" || name === "GET /v1/models");
      expect(await other?.knock(limited, key)).not.toBe(429);
    }
    await nothingHasChanged();
  },
);

test("a key without the scope is refused by every method", patient, async () => {
  const keys = new Map<string, Promise<string>>();
  const keyOf = ({ without }: Door) => {
    const made = keys.get(without.join()) ?? newKey(without);
    keys.set(without.join(), made);
    return made;
  };
  const limiting = doors.filter(({ without }) => without.length > 0);
  expect(await answersOf(limiting, server, keyOf)).toEqual(allOf(limiting, () => 403));
  await nothingHasChanged();
});

const optionsOf = async (path: string) => (await fetch(`${server.url}${path}`, { method: "OPTIONS" })).status;

test("OPTIONS needs no key, tells nothing and does nothing, whatever method its headers name", patient, async () => {
  for (const path of ["/uploads", upload])
    for (const meant of ["POST", "PATCH", "DELETE", "HEAD", "GET"]) {
      const headers = { ...tus, "upload-length": "3", "x-http-method-override": meant };
      const answer = await fetch(`${server.url}${path}`, { method: "OPTIONS", headers });
      expect([answer.status, await answer.text(), answer.headers.get("upload-offset")]).toEqual([204, "", null]);
    }
  // Elsewhere it is a method like others, unless a page of a listed origin asks what it may do.
  for (const path of ["/graphql", "/v1/models", "/datasets", "/v1/chat/completions"])
    expect({ path, status: await optionsOf(path) }).toEqual({ path, status: 401 });
  for (const { path, type } of fileRoutes)
    expect({ path, status: await optionsOf(filled(path, ids[type] ?? "")) }).toEqual({ path, status: 404 });
  const listed = await server.another({ corsOrigins: ["https://app.example.org"] });
  onTestFinished(() => listed.close());
  for (const path of [
    "/graphql",
    "/v1/models",
    "/datasets",
    "/uploads",
    upload,
    filled(fileRoutes[0]?.path ?? "", ids["Checkpoint"] ?? ""),
  ]) {
    const headers = { origin: "https://app.example.org", "access-control-request-method": "PATCH" };
    const answer = await fetch(`${listed.url}${path}`, { method: "OPTIONS", headers });
    expect([path, answer.status, await answer.text()]).toEqual([path, 204, ""]);
  }
  await nothingHasChanged();
});
