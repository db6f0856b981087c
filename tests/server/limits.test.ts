/** Requests that would cost too much are refused at once, on every transport, and no log repeats what was in them. */
import { once } from "node:events";
import { getIntrospectionQuery } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { testServer, type GraphQLAnswer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

type Errors = NonNullable<GraphQLAnswer<object>["errors"]>;
const json = { "content-type": "application/json", accept: "application/graphql-response+json" };
/** In every hostile request, and in no log line. */
const secret = "PrivateWord";

const post = (body: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/graphql`, { method: "POST", headers: { ...json, ...headers }, body });

const transports: Record<string, (request: object) => Promise<Errors>> = {
  HTTP: async (request) => ((await (await post(JSON.stringify(request))).json()) as { errors: Errors }).errors,
  "server-sent events": async (request) => {
    const text = await (await post(JSON.stringify(request), { accept: "text/event-stream" })).text();
    const data = /^data: (\{.+\})$/mu.exec(text)?.[1] ?? "{}";
    return (JSON.parse(data) as { errors: Errors }).errors;
  },
  WebSocket: async (payload) => {
    const socket = await connected();
    socket.send(JSON.stringify({ type: "subscribe", id: "a", payload }));
    const answer = await messageOf(socket);
    socket.close();
    return answer.type === "error" ? (answer.payload as Errors) : (answer.payload as { errors: Errors }).errors;
  },
};

async function connected(): Promise<WebSocket> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "connection_init" }));
  await messageOf(socket);
  return socket;
}

async function messageOf(socket: WebSocket): Promise<{ type: string; payload: unknown }> {
  const closed = once(socket, "close").then(([code]) => {
    throw new Error(`the socket was closed: ${code}`);
  });
  const [message] = (await Promise.race([once(socket, "message"), closed])) as [Buffer];
  closed.catch(() => {});
  return JSON.parse(String(message)) as never;
}

const times = (count: number, of: (index: number) => string, between = " ") =>
  Array.from({ length: count }, (_, index) => of(index)).join(between);
const node = `node(id: "${secret}")`;

const hostile: Record<string, object> = {
  "190,000 aliases": { query: `{ ${times(190_000, (index) => `a${index}:__typename`)} }` },
  "1,300 aliases of __typename": { query: `{ ${times(1_300, (index) => `a${index}:__typename`)} }` },
  "450 aliases of __typename": { query: `{ ${times(450, (index) => `a${index}:__typename`)} }` },
  "one name many times": { query: `{ ${times(900, () => "service { version }")} }` },
  "aliases that conflict": { query: `{ ${times(900, (index) => `a: ${secret}${index}`)} }` },
  "unknown fields": { query: `{ ${times(900, (index) => `servic${index}`)} }` },
  "a field name of 2 MB": { query: `{ ${secret.repeat(180_000)} }` },
  "a field name of 4 MB": { query: `{ ${secret.repeat(370_000)} }` },
  "deep lists": { query: `{ node(id: ${"[".repeat(1_900)}${"]".repeat(1_900)}) { id } }` },
  "deeper lists": { query: `{ node(id: ${"[".repeat(2_000_000)}` },
  "deep objects": {
    query: `mutation { createDataset(input: ${times(500, () => "{a:", "")}1${"}".repeat(500)}) { id } }`,
  },
  "deep selections": { query: `${"{a".repeat(1_900)}${"}".repeat(1_900)}` },
  "line breaks": { query: `${"\n".repeat(1_900_000)}{ ${times(100, (index) => `${secret}${index}`)} }` },
  "a string of line breaks": { query: `{ node(id: """${"\n".repeat(1_900_000)}""") { id } }` },
  comments: { query: `${`#${secret}\n`.repeat(100_000)}{ x }` },
  "a fragment that contains itself": { query: `{ ...A } fragment A on Query { ...A }` },
  "a long cycle of fragments": {
    query: `{ ...F0 } ${times(90, (index) => `fragment F${index} on Query { ...F${(index + 1) % 90} }`)}`,
  },
  "fragments that double": {
    query: `{ ...F0 } ${times(49, (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`)}
      fragment F49 on Query { service { version } }`,
  },
  "many fragments": { query: `{ ${times(300, () => "...F")} } fragment F on Query { service { version } }` },
  "introspection many times": {
    query: `{ ${times(79, (index) => `a${index}: __schema { types { fields { type { fields { name } } } } }`)} }`,
  },
  "introspection of introspection": {
    query: "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
  },
  "many mutations": {
    query: `mutation { ${times(500, (index) => `m${index}: cancelFineTune(id: "${secret}") { id }`)} }`,
  },
  "pages of pages": {
    query: "{ fineTunes(first: 100) { nodes { checkpoints(first: 100) { nodes { logBytes weightsUrl } } } } }",
  },
  "pages by variable": {
    query: "query ($n: Int) { fineTunes(first: $n) { nodes { checkpoints(first: $n) { nodes { logBytes } } } } }",
    variables: { n: 100 },
  },
  "250,000 ids": {
    query: "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
    variables: { ids: Array(250_000).fill(secret) },
  },
  "300,000 wrong values": {
    query: "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
    variables: { ids: Array(300_000).fill(1.5) },
  },
  "9,000 empty label words": {
    query: "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { created } }",
    variables: { input: { name: secret, dataset: "x", labelWords: Array(9_000).fill("") } },
  },
  "a word of 3 MB": {
    query: "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { created } }",
    variables: { input: { name: secret, baseModel: secret.repeat(250_000), calibrationPrompt: secret.repeat(1_000) } },
  },
  "a variable of 3 MB of another type": {
    query: "query ($n: Int) { fineTunes(first: $n) { nodes { id } } }",
    variables: { n: secret.repeat(300_000) },
  },
  "half a surrogate pair": { query: "query ($id: ID!) { node(id: $id) { id } }", variables: { id: `${secret}\ud800` } },
  "half a surrogate pair in the query": { query: `{ node(id: "${secret}\\udc00") { id } }` },
  "a zero character": { query: "query ($id: ID!) { node(id: $id) { id } }", variables: { id: `${secret}\0` } },
  "a zero in a name": {
    query: `mutation { createDataset(input: { name: "${secret}\\u0000", jsonl: "{}" }) { id } }`,
  },
  "an unknown operation": { query: `query A { ${node} { id } }`, operationName: secret },
  "a syntax error": { query: `{ ${secret} ` },
  "a malformed id": { query: `{ ${node} { id } }` },
};

describe.each(Object.keys(transports))("over %s", (transport) => {
  const ask = transports[transport];
  test.each(Object.keys(hostile))(
    "%s",
    async (what) => {
      const start = performance.now();
      const errors = (await ask?.(hostile[what] ?? {})) ?? [];
      // Milliseconds on a machine that has nothing else to do.
      expect(performance.now() - start).toBeLessThan(5_000);
      expect(errors.map((error) => error.extensions.code)).toEqual(errors.map(() => "INVALID_ARGUMENT"));
      expect(errors.length).toBeGreaterThan(0);
      expect(JSON.stringify(errors).length).toBeLessThan(50_000);
    },
    5_000,
  );

  test("everything else goes on", async () => {
    const unknown = await ask?.({ query: "{ nothing }" });
    expect(unknown?.[0]?.message).toMatch(/Cannot query field "nothing"/u);
  });
});

describe("requests that HTTP cannot read", () => {
  const get = (search: string) => fetch(`${server.url}/graphql?${search}`, { headers: { accept: json.accept } });
  const deep = `{"query":"{__typename}","variables":{"a":${"[".repeat(2_000_000)}`;

  test.each<[string, () => Promise<Response>, number]>([
    ["variables that are no JSON", () => get(`query={__typename}&variables={"${secret}`), 400],
    ["extensions that are no JSON", () => get(`query={__typename}&extensions={${secret}`), 400],
    ["variables that are a list", () => get("query={__typename}&variables=[]"), 400],
    ["no query", () => get(secret), 400],
    ["a body that is no JSON", () => post(`{"${secret}`), 400],
    ["a body that is a list", () => post("[]"), 400],
    ["a body that is nothing", () => post("null"), 400],
    ["a query that is a number", () => post('{"query":1}'), 400],
    ["an unknown parameter", () => post(`{"query":"{__typename}","${secret}":1}`), 400],
    ["2,000,000 brackets", () => post(deep), 400],
    ["a form", () => post(`query={${secret}}`, { "content-type": "application/x-www-form-urlencoded" }), 415],
    ["a multipart form", () => post("x", { "content-type": "multipart/form-data; boundary=x" }), 415],
    ["another type", () => post("x", { "content-type": "text/plain" }), 415],
  ])(
    "%s",
    async (_what, send, status) => {
      const start = performance.now();
      const response = await send();
      const { errors } = (await response.json()) as { errors: Errors };
      expect(performance.now() - start).toBeLessThan(3_000);
      expect([response.status, errors[0]?.extensions.code]).toEqual([status, "INVALID_ARGUMENT"]);
    },
    5_000,
  );

  test("a WebSocket message of 2,000,000 brackets closes its socket", async () => {
    const other = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    await once(other, "open");
    const start = performance.now();
    other.send(`{"type":"connection_init","payload":${"[".repeat(2_000_000)}`);
    expect((await once(other, "close"))[0]).toBe(4400);
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});

test("no log line has text of a request, though every request and failure is in the log", async () => {
  const { store } = server;
  const fail = async (list: () => Promise<unknown>) => {
    store.baseModels.list = list as typeof store.baseModels.list;
    const { errors } = await server.gql(`query ${secret} { baseModels { nodes { id } } }`);
    expect(errors?.[0]?.extensions.code).toBe("INTERNAL");
  };
  // Three whose messages quote what they were given, and one of our own.
  await fail(async () => JSON.parse(`{"${secret}`) as unknown);
  await fail(async () => new URL(secret));
  await fail(() => store.datasets.create({ name: secret, sha256: "ab".repeat(32), bytes: 1e30, rows: 1 }));
  await fail(() => Promise.reject(new Error("Invariant broken: here")));
  await fetch(`${server.url}/${secret}?${secret}`);
  const log = server.logged.join("");
  expect(log).toMatch(/"type":"SyntaxError","stack":.*limits\.test\.ts/u);
  expect(log).toMatch(/"type":"PostgresError","code":"22/u);
  expect(log).toContain("Invariant broken: here");
  expect(log).toMatch(/"path":"\/graphql"/u);
  expect(server.logged.filter((line) => line.includes(secret))).toEqual([]);
});

test("what tools send is allowed: introspection, and all of a run at once", async () => {
  const options = {
    inputValueDeprecation: true,
    schemaDescription: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
  };
  const { errors } = await server.gql(getIntrospectionQuery(options));
  expect(errors).toEqual(undefined);
  const answer = await post(JSON.stringify({ query: "{ service { pageSize } }", operationName: "", extensions: {} }));
  expect(await answer.json()).toMatchObject({ data: { service: { pageSize: 100 } } });
});
