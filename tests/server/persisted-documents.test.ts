/** Documents that clients name instead of sending them, and a service that runs listed ones only. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import { documentId } from "../../server/graphql/persisted-documents.ts";
import type { RunningServer } from "../../server/server.ts";
import { builtPage } from "../support/built-page.ts";
import { steplogHere } from "../support/command.ts";
import { testServer, type TestServer, wsClient } from "./harness.ts";

let server: TestServer;
let folder: string;
let file: string;
let ids: Record<string, string>;
let key: string;
let boss: string;

beforeAll(async () => {
  server = await testServer();
  folder = await mkdtemp(join(tmpdir(), "steplog-documents-"));
  file = join(folder, "documents.json");
  await mkdir(join(folder, "queries", "parts"), { recursive: true });
  await writeFile(
    join(folder, "queries", "a.graphql"),
    "query Size { service { ...Sizes } }\nquery Named($first: Int!) { baseModels(first: $first) { nodes { name } } }",
  );
  await writeFile(join(folder, "queries", "parts", "b.graphql"), "fragment Sizes on Service { pageSize }");
  const { code, stdout } = await steplogHere(["documents", join(folder, "queries"), "--out", file, "--json"]);
  expect(code).toBe(0);
  ids = (JSON.parse(stdout) as { operations: Record<string, string> }).operations;
  const make = (scopes: string, by?: string, more = "") =>
    ask(
      server,
      { query: `mutation { createApiKey(input: { name: "k", scopes: [${scopes}]${more} }) { key } }` },
      by,
    ).then(({ data }) => (data as { createApiKey: { key: string } }).createApiKey.key);
  boss = await make("ADMIN");
  key = await make("READ", boss);
});
afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly data?: unknown;
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[];
}

async function ask(of: RunningServer, body: object, by?: string): Promise<Answer> {
  const response = await fetch(`${of.url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      ...(by !== undefined && { authorization: `Bearer ${by}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** Over a WebSocket, where the protocol asks for a text. */
async function askSocket(of: RunningServer, payload: object, by: string): Promise<unknown> {
  const client = wsClient(of, { connectionParams: { authorization: `Bearer ${by}` } });
  try {
    for await (const answer of client.iterate({ query: "", ...payload })) return answer;
    return null;
  } finally {
    await client.dispose();
  }
}

const size = { service: { pageSize: 100 } };

describe("a service that lists documents", () => {
  let listed: RunningServer;
  beforeAll(async () => {
    listed = await server.another({ documents: { file, only: false } });
    return () => listed.close();
  });
  const idOf = (name: string) => ids[name] ?? "";

  test("runs them by documentId, over POST, GET and WebSocket, with variables", async () => {
    expect(idOf("Size")).toMatch(/^sha256:[0-9a-f]{64}$/u);
    expect(await ask(listed, { documentId: idOf("Size") }, key)).toMatchObject({ status: 200, data: size });
    const named = { documentId: idOf("Named"), variables: { first: 1 }, operationName: "Named" };
    expect(await ask(listed, named, key)).toMatchObject({ data: { baseModels: { nodes: [{ name: "bytes" }] } } });
    const search = new URLSearchParams({ documentId: named.documentId, variables: JSON.stringify(named.variables) });
    const got = await fetch(`${listed.url}/graphql?${search}`, { headers: { authorization: `Bearer ${key}` } });
    expect(await got.json()).toMatchObject({ data: { baseModels: { nodes: [{ name: "bytes" }] } } });
    expect(await askSocket(listed, named, key)).toMatchObject({ data: { baseModels: { nodes: [{ name: "bytes" }] } } });
  });

  test("runs them by the hash that other clients send, and others by their text", async () => {
    const hashOf = (id: string) => ({ persistedQuery: { version: 1, sha256Hash: id.replace("sha256:", "") } });
    expect(await ask(listed, { extensions: hashOf(idOf("Size")) }, key)).toMatchObject({ data: size });
    expect(await askSocket(listed, { extensions: hashOf(idOf("Size")) }, key)).toMatchObject({ data: size });
    const unknown = await ask(listed, { extensions: hashOf("ab".repeat(32)) }, key);
    expect(unknown).toMatchObject({ status: 200, errors: [{ message: "PersistedQueryNotFound" }] });
    expect(await ask(listed, { query: "{ service { pageSize } }" }, key)).toMatchObject({ data: size });
  });

  test("refuses a document that it does not know, and one that comes with a query", async () => {
    const documentId = `sha256:${"0".repeat(64)}`;
    for (const body of [{ documentId }, { documentId: 1 }, { documentId: idOf("Size"), query: "{ __typename }" }]) {
      const { status, errors } = await ask(listed, body, key);
      expect([status, errors?.length, errors?.[0]?.extensions.code]).toEqual([400, 1, "INVALID_ARGUMENT"]);
    }
    await expect(askSocket(listed, { documentId }, key)).rejects.toMatchObject([
      { message: expect.stringMatching(/^There is no document "sha256:000/u) as unknown },
    ]);
    expect((await ask(server, { documentId: idOf("Size") }, boss)).status).toBe(400);
  });
});

describe("a service that runs listed documents only", () => {
  let only: RunningServer;
  let page: string;
  beforeAll(async () => {
    page = await builtPage();
    only = await server.another({ documents: { file, only: true }, dashboardDir: page });
    return () => only.close();
  }, 60_000);

  const other = "{ service { version } }";

  test("refuses others, over HTTP, as an event stream and over a WebSocket, but not to operators", async () => {
    const { status, errors } = await ask(only, { query: other }, key);
    expect([status, errors?.[0]?.extensions.code]).toEqual([403, "FORBIDDEN"]);
    await expect(askSocket(only, { query: other }, key)).rejects.toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
    const stream = await fetch(`${only.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: other }),
    });
    expect(await stream.text()).toContain("FORBIDDEN");
    expect(await ask(only, { query: other }, boss)).toMatchObject({ status: 200, data: { service: {} } });
    expect(await askSocket(only, { query: other }, boss)).toMatchObject({ data: { service: {} } });
  });

  test("runs them by id and by text, however that is written", async () => {
    expect(await ask(only, { documentId: ids["Size"] }, key)).toMatchObject({ data: size });
    const text = "fragment Sizes on Service { pageSize, __typename }\n query Size { service { __typename ...Sizes } }";
    const written =
      "query Size { service { ...Sizes __typename } } # a comment\nfragment Sizes on Service { pageSize }";
    expect(await ask(only, { query: written }, key)).toMatchObject({ data: size });
    // The order of definitions is another document.
    expect((await ask(only, { query: text }, key)).status).toBe(403);
    expect(
      (
        await ask(
          only,
          { query: "query Size { service { ...Sizes version } } fragment Sizes on Service { pageSize }" },
          key,
        )
      ).status,
    ).toBe(403);
  });

  test("runs what the page sends, as its client of GraphQL rewrites it", async () => {
    const own = JSON.parse(await readFile(join(page, "documents.json"), "utf8")) as Record<string, string>;
    const texts = Object.values(own);
    expect(texts.length).toBeGreaterThan(15);
    for (const text of texts) {
      const { errors = [] } = await ask(only, { query: text.replaceAll(/\}(?=[^{}]*\})/gu, " __typename }") }, key);
      // Variables are missing; what must not happen is that it is no listed document.
      expect(errors.filter(({ message }) => message.startsWith("This service runs listed"))).toEqual([]);
    }
  });
});

test("a file that this API cannot run is refused when the service starts, with what is wrong in it", async () => {
  const starting = async (content: string) => {
    const wrong = join(folder, "wrong.json");
    await writeFile(wrong, content);
    return server.another({ documents: { file: wrong, only: false } }).then(
      () => "started",
      (error: unknown) => (error instanceof SteplogError ? `${error.code}: ${error.message}` : String(error)),
    );
  };
  const text = "{ service { pageSize } }";
  expect(await starting("{")).toMatch(/^INVALID_ARGUMENT: .*wrong\.json is not JSON\./u);
  expect(await starting('{"a": 1}')).toMatch(/is not JSON of texts of documents by their ids/u);
  expect(await starting(JSON.stringify({ [documentId("x")]: text }))).toMatch(/has another hash/u);
  const nothing = "{ nothing }";
  expect(await starting(JSON.stringify({ [documentId(nothing)]: nothing }))).toMatch(/Cannot query field "nothing"/u);
  const mine = await server.another({ documents: { file, only: false } });
  await mine.close();
});

test("steplog documents refuses what this API cannot run, and operations without a name", async () => {
  const write = async (text: string) => {
    const queries = await mkdtemp(join(folder, "q-"));
    await writeFile(join(queries, "q.graphql"), text);
    return steplogHere(["documents", queries, "--out", join(folder, "none.json"), "--json"]);
  };
  for (const [text, message] of [
    ["query A { nothing }", /Cannot query field/u],
    ["{ service { pageSize } }", /Give every operation a name/u],
    ["fragment A on Service { pageSize }", /./u],
    ["query {", /Syntax Error/u],
  ] as const) {
    const { code, stdout } = await write(text);
    expect([code, stdout]).toEqual([3, expect.stringMatching(message)]);
  }
});
