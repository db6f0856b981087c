/** GraphQL over HTTP as its specification has it, and the habits of clients and tools that it does not mention. */
import { gzipSync, brotliCompressSync, deflateSync } from "node:zlib";
import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createDataset,
  createFineTune,
  createFineTuneMutation,
  FakeWorker,
  rowId,
  rows,
  testServer,
} from "./harness.ts";
import type { TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

/** The audits of graphql-http. The address is asked when an audit runs, since the server starts after this. */
describe("the specification", () => {
  const audits = serverAudits({ url: () => `${server.url}/graphql`, fetchFn: fetch });
  test.each(audits.filter(({ name }) => /^(?:MUST|SHOULD)/u.test(name)).map((audit) => [audit.name, audit] as const))(
    "%s",
    async (_name, audit) => {
      const result = await audit.fn();
      expect(result).toMatchObject({ status: "ok" });
    },
  );

  test("has as many audits as we think", () => {
    expect(audits.length).toBeGreaterThan(50);
  });
});

const json = { "content-type": "application/json" };
const asked = async (response: Promise<Response>) => {
  const answer = await response;
  const body = (await answer.json()) as { data?: object; errors?: { message: string; extensions: { code: string } }[] };
  return { status: answer.status, ...body };
};
const post = (body: BodyInit, headers: Record<string, string> = {}, path = "/graphql") =>
  fetch(`${server.url}${path}`, { method: "POST", headers: { ...json, ...headers }, body });
const query = JSON.stringify({ query: "{ service { pageSize } }" });
const data = { service: { pageSize: 100 } };

describe("what tools do", () => {
  test("a slash at the end", async () => {
    expect(await asked(post(query, {}, "/graphql/"))).toMatchObject({ status: 200, data });
  });

  test("an empty operation name is none", async () => {
    expect(await asked(post(JSON.stringify({ query: "{ service { pageSize } }", operationName: "" })))).toMatchObject({
      data,
    });
    const search = new URLSearchParams({ query: "{ service { pageSize } }", operationName: "", variables: "" });
    expect(await asked(fetch(`${server.url}/graphql?${search}`))).toMatchObject({ data });
  });

  test("a hash instead of a query is answered so that the client sends the query", async () => {
    const extensions = { persistedQuery: { version: 1, sha256Hash: "ab".repeat(32) } };
    const hash = await asked(post(JSON.stringify({ extensions })));
    expect(hash).toMatchObject({ status: 200, errors: [{ message: "PersistedQueryNotSupported" }] });
    expect(await asked(post(JSON.stringify({ query: "{ service { pageSize } }", extensions })))).toMatchObject({
      data,
    });
  });

  test("a form with a file is told where files go", async () => {
    const form = new FormData();
    form.append("operations", query);
    form.append("0", new Blob([rows(3)]), "rows.jsonl");
    const answer = await asked(fetch(`${server.url}/graphql`, { method: "POST", body: form }));
    expect(answer).toMatchObject({ status: 415, errors: [{ extensions: { code: "INVALID_ARGUMENT" } }] });
    expect(answer.errors?.[0]?.message).toMatch(/application\/json.*\/datasets/u);
    const upload = await asked(fetch(`${server.url}/datasets?name=form`, { method: "POST", body: form }));
    expect(upload).toMatchObject({ status: 415, errors: [{ extensions: { code: "INVALID_ARGUMENT" } }] });
    expect(upload.errors?.[0]?.message).toMatch(/--data-binary/u);
  });
});

describe("compressed bodies", () => {
  const packed = {
    gzip: gzipSync,
    "x-gzip": gzipSync,
    deflate: deflateSync,
    br: brotliCompressSync,
    identity: (text: string) => Buffer.from(text),
  };

  test.each(Object.entries(packed))("%s", async (encoding, pack) => {
    const headers = { "content-encoding": encoding };
    expect(await asked(post(new Uint8Array(pack(query)), headers))).toMatchObject({ status: 200, data });
    const dataset = await asked(post(new Uint8Array(pack(rows(50))), headers, "/datasets?name=packed"));
    expect(dataset).toMatchObject({ status: 201, rows: 50 });
  });

  test("another encoding is refused, and the answer names those that are not", async () => {
    const response = await post(query, { "content-encoding": "zstd" });
    expect([response.status, response.headers.get("accept-encoding")]).toEqual([415, "gzip, deflate, br"]);
    expect(await response.text()).toContain("INVALID_ARGUMENT");
  });

  test.each(["/graphql", "/datasets?name=x"])(
    "damaged ones are refused, and the next request is answered: %s",
    async (path) => {
      const whole = gzipSync(rows(1_000));
      for (const body of [Buffer.from("no gzip"), whole.subarray(0, 100)]) {
        const answer = await asked(post(new Uint8Array(body), { "content-encoding": "gzip" }, path));
        expect(answer).toMatchObject({ status: 400, errors: [{ extensions: { code: "INVALID_ARGUMENT" } }] });
      }
      expect(await asked(post(query))).toMatchObject({ data });
    },
  );

  test("one that is large only when unpacked is refused", async () => {
    const bomb = new Uint8Array(gzipSync(Buffer.alloc(64 * 1024 * 1024)));
    const answer = await asked(post(bomb, { "content-encoding": "gzip" }));
    expect(answer).toMatchObject({ status: 413, errors: [{ extensions: { code: "PAYLOAD_TOO_LARGE" } }] });
  });
});

test.each(["https://app.example.org/", "HTTPS://App.Example.org", "https://app.example.org:443"])(
  "pages of the origin listed as %s have access",
  async (listed) => {
    const other = await server.another({ corsOrigins: [listed] });
    const headers = { ...json, origin: "https://app.example.org" };
    const response = await fetch(`${other.url}/graphql`, { method: "POST", headers, body: query });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example.org");
    await other.close();
  },
);

test("a port that is taken: the message says how to choose another", async () => {
  const failed = await server.another({ port: Number(new URL(server.url).port) }).catch((error: unknown) => error);
  expect(String(failed)).toMatch(/--port/u);
});

test("errors name runs by the ids of the API, or not at all", async () => {
  const id = await createFineTune(server);
  const texts = [
    await server.gql("mutation ($id: ID!) { continueFineTune(input: { fineTune: $id, steps: 1 }) { created } }", {
      id,
    }),
  ];
  const worker = await FakeWorker.claim(server.store);
  await worker.succeed();
  texts.push(await server.gql("mutation ($id: ID!) { cancelFineTune(id: $id) { id } }", { id }));
  const input = { idempotencyKey: "k", name: "one", baseModel: "bytes", dataset: await createDataset(server) };
  await server.gql(createFineTuneMutation, { input });
  texts.push(await server.gql(createFineTuneMutation, { input: { ...input, name: "two" } }));
  const messages = texts.map(({ errors }) => errors?.[0]?.message ?? "no error");
  expect(messages).toEqual([
    expect.stringContaining(id) as string,
    expect.stringMatching(/is SUCCEEDED and cannot be cancelled/u) as string,
    expect.stringContaining("idempotency key") as string,
  ]);
  expect(messages.join(" ")).not.toContain(rowId(id));
  expect(messages.join(" ")).not.toMatch(/[\da-f]{8}-[\da-f]{4}-/u);
});
