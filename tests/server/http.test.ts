/** Plain HTTP routes: downloads, health checks, the page, access and limits. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { leaseMs } from "../../schema/limits.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import {
  collect,
  createFineTune,
  FakeWorker,
  globalId,
  rows,
  testServer,
  wsClient,
  type TestServer,
} from "./harness.ts";
import { claimAny } from "../support/claims.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const json = { "content-type": "application/json" };
const codeOf = async (response: Response) =>
  ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]?.extensions.code;

describe("checkpoints", () => {
  let checkpointId: string;
  let chain: string;
  const weights = randomBytes(100_000);
  interface Links {
    checkpoint: {
      logUrl: string;
      logBytes: number;
      weightsUrl: string;
      weightsBytes: number;
      weightsFiles: { name: string; bytes: number; sha256: string }[];
    };
  }
  const links = () =>
    server.ask<Links>(
      `query ($id: ID!) {
        checkpoint(id: $id) { logUrl logBytes weightsUrl weightsBytes weightsFiles { name bytes sha256 } }
      }`,
      { id: checkpointId },
    );

  beforeAll(async () => {
    await createFineTune(server, { steps: 5_000 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(4_500);
    chain = Buffer.from(worker.chain).toString("hex");
    checkpointId = globalId("Checkpoint", (await worker.checkpoint()).id);
    await worker.train(500);
    await worker.succeed();
  });

  test("a downloaded log verifies and has the size that logBytes gives", async () => {
    const { checkpoint } = await links();
    expect(checkpoint.logUrl.startsWith(`${server.url}/checkpoints/`)).toBe(true);
    const response = await fetch(checkpoint.logUrl);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes.length).toBe(checkpoint.logBytes);
    expect(response.headers.get("content-length")).toBe(String(checkpoint.logBytes));
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="run-4500.steplog"');
    expect(response.headers.get("etag")).toBe(`"${chain}"`);
    const log = decodeStepLog(bytes);
    expect(log.entries).toHaveLength(4_500);
    expect(Buffer.from(log.chain).toString("hex")).toBe(chain);
  });

  test("a run that failed before its first checkpoint gives its log", async () => {
    const id = await createFineTune(server, { steps: 9 });
    const ask = () =>
      server.ask<{ fineTune: { logUrl: string | null } }>("query ($id: ID!) { fineTune(id: $id) { logUrl } }", { id });
    expect(await ask()).toEqual({ fineTune: { logUrl: null } });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(3);
    const failure = { code: "LOSS_NOT_FINITE", message: "three steps in a row", issues: [] } as const;
    await server.store.finishFineTune(worker.job, { status: "FAILED", ...failure });
    const { fineTune } = await ask();
    const response = await fetch(fineTune.logUrl ?? "");
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="run-3.steplog"');
    const log = decodeStepLog(new Uint8Array(await response.arrayBuffer()));
    expect(log.entries).toHaveLength(3);
    expect(Buffer.compare(log.chain, worker.chain)).toBe(0);
    expect((await fetch(`${server.url}/fine-tunes/${id}/log.steplog`)).status).toBe(200);
    for (const unknown of ["nobody", "%C3%A9", globalId("Checkpoint", "x")]) {
      expect((await fetch(`${server.url}/fine-tunes/${unknown}/log.steplog`)).status).toBe(404);
    }
  });

  test("the log supports HEAD and conditional requests", async () => {
    const { checkpoint } = await links();
    const head = await fetch(checkpoint.logUrl, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(checkpoint.logBytes)]);
    const same = await fetch(checkpoint.logUrl, { headers: { "if-none-match": `"${chain}"` } });
    expect(same.status).toBe(304);
  });

  test("a log is read while it is sent, and no further than its client wants", async () => {
    const most = 10 ** 7;
    const read = { parts: 0, ended: false };
    vi.spyOn(server.store.checkpoints, "logParts").mockResolvedValueOnce({
      headerBytes: Buffer.from("{}"),
      chain: Buffer.alloc(32),
      entries: most * 4_096,
      decayed: false,
      async *scalars() {
        try {
          for (; read.parts < most; read.parts++) yield new Uint8Array(8_192);
        } finally {
          read.ended = true;
        }
      },
      async *decays() {},
    });
    const { checkpoint } = await links();
    const response = await fetch(checkpoint.logUrl);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
    // Beyond what is on its way: buffers of two sockets and of the client.
    expect(read.parts).toBeLessThan(2_000);
    await reader?.cancel();
    await vi.waitFor(() => expect(read.ended).toBe(true), 10_000);
    expect(read.parts).toBeLessThan(most);
  });

  test("weights that were not requested are refused, with advice", async () => {
    const { checkpoint } = await links();
    expect(checkpoint.weightsUrl).toBeNull();
    const response = await fetch(checkpoint.logUrl.replace("log.steplog", "weights.safetensors"));
    expect(response.status).toBe(409);
    expect(await response.text()).toMatch(/INVALID_STATE.*|materialiseCheckpoint/u);
  });

  test("stored weights can be downloaded whole and in ranges", async () => {
    const ask = "mutation ($id: ID!) { materialiseCheckpoint(id: $id) { weightsStatus } }";
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await server.ask(ask, { id: checkpointId })).toEqual({
        materialiseCheckpoint: { weightsStatus: "QUEUED" },
      });
    }
    const job = await claimAny(server.store, "test", leaseMs);
    if (!job) throw new Error("no job");
    expect(job.kind).toBe("MATERIALISE");
    const blob = await server.store.blobs.put(
      (async function* () {
        yield weights;
      })(),
    );
    await server.store.finishMaterialise(job, { weightsFiles: [{ name: "model.safetensors", ...blob }] });

    const { checkpoint } = await links();
    expect(checkpoint.weightsBytes).toBe(weights.length);
    const { weightsFiles } = checkpoint;
    expect(weightsFiles).toMatchObject([{ name: "model.safetensors", bytes: weights.length, sha256: blob.sha256 }]);
    const whole = await fetch(checkpoint.weightsUrl);
    expect(whole.status).toBe(200);
    expect(Buffer.from(await whole.arrayBuffer()).equals(weights)).toBe(true);
    expect(whole.headers.get("content-disposition")).toContain("run-4500.safetensors");
    const part = await fetch(checkpoint.weightsUrl, { headers: { range: "bytes=1000-1999" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 1000-1999/100000"]);
    expect(Buffer.from(await part.arrayBuffer()).equals(weights.subarray(1000, 2000))).toBe(true);
    const tail = await fetch(checkpoint.weightsUrl, { headers: { range: "bytes=-10" } });
    expect(Buffer.from(await tail.arrayBuffer()).equals(weights.subarray(-10))).toBe(true);
    const outside = await fetch(checkpoint.weightsUrl, { headers: { range: "bytes=100000-" } });
    expect([outside.status, outside.headers.get("content-range")]).toEqual([416, "bytes */100000"]);
    expect(await codeOf(outside)).toBe("INVALID_ARGUMENT");
    const head = await fetch(checkpoint.weightsUrl, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), head.headers.get("accept-ranges")]).toEqual([
      200,
      "100000",
      "bytes",
    ]);
    expect(whole.headers.get("etag")).toBe(`"${createHash("sha256").update(weights).digest("hex")}"`);
  });

  test("weights in several files can be downloaded one by one", async () => {
    await createFineTune(server, { steps: 5_000 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(5_000);
    const blobs = await Promise.all(
      [weights.subarray(0, 60_000), weights.subarray(60_000), Buffer.from("{}")].map((bytes) =>
        server.store.blobs.put(Readable.from([bytes])),
      ),
    );
    const names = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ];
    const weightsFiles = blobs.map((blob, k) => ({ name: names[k] ?? "", ...blob }));
    const written = {
      entries: 5_000,
      step: 5_000,
      chain: worker.chain,
      weightsDigest: "cd".repeat(32),
      weightsFiles,
    };
    const { id } = await server.store.recordCheckpoint(worker.job, written);
    await worker.succeed();

    const { checkpoint } = await server.ask<{
      checkpoint: { weightsUrl: null; weightsFiles: { name: string; url: string; bytes: number; sha256: string }[] };
    }>("query ($id: ID!) { checkpoint(id: $id) { weightsUrl weightsBytes weightsFiles { name url bytes sha256 } } }", {
      id: globalId("Checkpoint", id),
    });
    expect(checkpoint).toMatchObject({ weightsUrl: null, weightsBytes: 100_002, weightsFiles });
    const parts: Buffer[] = [];
    for (const { name, url } of checkpoint.weightsFiles) {
      const response = await fetch(url);
      expect(response.headers.get("content-disposition")).toBe(`attachment; filename="${name}"`);
      parts.push(Buffer.from(await response.arrayBuffer()));
    }
    expect(Buffer.concat(parts).equals(Buffer.concat([weights, Buffer.from("{}")]))).toBe(true);
    const [first] = checkpoint.weightsFiles;
    const range = await fetch(first?.url ?? "", { headers: { range: "bytes=10-19" } });
    expect(range.headers.get("content-range")).toBe("bytes 10-19/60000");
    for (const name of ["model-00003-of-00002.safetensors", "..", "config.json"]) {
      const response = await fetch((first?.url ?? "").replace(names[0] ?? "", name));
      expect([response.status, await codeOf(response)]).toEqual([404, "NOT_FOUND"]);
    }
    const whole = await fetch((first?.url ?? "").replace(`weights/${names[0]}`, "weights.safetensors"));
    expect(await whole.text()).toContain("model-00002-of-00002.safetensors");
  });

  test.each(["x", "..%2f..%2fetc", "%ff", globalId("Checkpoint", "00000000-0000-4000-8000-000000000000")])(
    "the checkpoint %j is not there",
    async (id) => {
      for (const file of ["log.steplog", "weights.safetensors"]) {
        const response = await fetch(`${server.url}/checkpoints/${id}/${file}`);
        expect([400, 404]).toContain(response.status);
        expect(["NOT_FOUND", "INVALID_ARGUMENT"]).toContain(await codeOf(response));
      }
    },
  );
});

describe("POST /datasets", () => {
  test("a body becomes a dataset", async () => {
    const response = await fetch(`${server.url}/datasets?name=by%20curl`, { method: "POST", body: rows(1000) });
    expect(response.status).toBe(201);
    const dataset = (await response.json()) as { id: string };
    expect(dataset).toMatchObject({ name: "by curl", rows: 1000 });
    expect(
      await server.ask("query ($id: ID!) { node(id: $id) { ... on Dataset { rows } } }", { id: dataset.id }),
    ).toEqual({
      node: { rows: 1000 },
    });
  });

  test("a wrong line is reported with its number", async () => {
    const response = await fetch(`${server.url}/datasets?name=bad`, { method: "POST", body: `${rows(2)}\nx` });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: "DATASET_INVALID", issues: [{ line: 3 }] } }],
    });
  });

  test("a name is required", async () => {
    const response = await fetch(`${server.url}/datasets`, { method: "POST", body: rows(1) });
    expect([response.status, await codeOf(response)]).toEqual([400, "INVALID_ARGUMENT"]);
  });

  test("a body whose content-length is too large is refused unread", async () => {
    const status = await new Promise((resolve, reject) => {
      const headers = { "content-length": String(300 * 1024 * 1024) };
      const post = request(`${server.url}/datasets?name=big`, { method: "POST", headers }, (response) => {
        resolve(response.statusCode);
        post.destroy();
      });
      post.on("error", reject);
      post.write("{");
    });
    expect(status).toBe(413);
  });
});

describe("health and pages", () => {
  test("/healthz always answers, /readyz only while the store does", async () => {
    expect(await (await fetch(`${server.url}/healthz`)).json()).toEqual({ status: "ok" });
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ status: "ready" });
    const ping = server.store.ping.bind(server.store);
    server.store.ping = () => Promise.reject(new Error("gone"));
    expect((await fetch(`${server.url}/readyz`)).status).toBeGreaterThanOrEqual(500);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    server.store.ping = ping;
  });

  test("GraphiQL is one page that loads nothing from other hosts", async () => {
    const response = await fetch(`${server.url}/graphql`, { headers: { accept: "text/html" } });
    const page = await response.text();
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(page).toContain("Steplog");
    expect(page).not.toMatch(/<(?:script|img|iframe)[^>]{0,200}\ssrc=["']?https?:/u);
    expect(page).not.toMatch(/<link[^>]{0,200}\shref=["']?https?:/u);
    expect(response.headers.get("content-security-policy")).toMatch(
      /^default-src 'self'[^;]*; connect-src 'self' ws: wss:/u,
    );
  });

  test("/ has links, and unknown paths are NOT_FOUND", async () => {
    expect(await (await fetch(server.url)).text()).toContain("/graphql");
    const response = await fetch(`${server.url}/nothing`);
    expect([response.status, await codeOf(response)]).toEqual([404, "NOT_FOUND"]);
    expect((await fetch(`${server.url}/nothing`, { method: "DELETE" })).status).toBe(404);
  });

  test("the dashboard folder is served, and nothing outside it", async () => {
    const folder = new URL("../../schema/", import.meta.url).pathname;
    const other = await server.another({ dashboardDir: folder });
    expect((await fetch(`${other.url}/errors.ts`)).status).toBe(200);
    expect((await fetch(`${other.url}/..%2fpackage.json`)).status).toBe(404);
    expect((await fetch(`${other.url}/none.js`)).status).toBe(404);
    await other.close();
  });

  test("scripts that the build has packed are sent so to who can unpack them, and as they are to others", async () => {
    const folder = await mkdtemp(join(tmpdir(), "steplog-packed-"));
    const script = "console.log(1);".repeat(100);
    await writeFile(join(folder, "page.js"), script);
    await writeFile(join(folder, "page.js.gz"), gzipSync(script));
    await writeFile(join(folder, "plain.js"), script);
    const other = await server.another({ dashboardDir: folder });
    const get = (name: string, encoding: string) =>
      fetch(`${other.url}/${name}`, { headers: { "accept-encoding": encoding } });
    for (const [name, encoding, sent, vary] of [
      ["page.js", "br, gzip", "gzip", "accept-encoding"],
      ["page.js", "identity", null, "accept-encoding"],
      ["plain.js", "gzip", null, null],
    ] as const) {
      const response = await get(name, encoding);
      expect(await response.text()).toBe(script);
      const { headers } = response;
      expect([headers.get("content-encoding"), headers.get("vary")]).toEqual([sent, vary]);
      expect(headers.get("content-type")).toMatch(/^text\/javascript/u);
    }
    await other.close();
    await rm(folder, { recursive: true });
  });
});

describe("limits", () => {
  test("a GraphQL body that is too large is refused, with or without a content-length", async () => {
    const body = JSON.stringify({ query: `{ service { version } } #${"x".repeat(5 * 1024 * 1024)}` });
    const announced = await fetch(`${server.url}/graphql`, { method: "POST", headers: json, body });
    expect([announced.status, await codeOf(announced)]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
    const stream = new Blob([body]).stream();
    const streamed = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: json,
      body: stream,
      duplex: "half",
    } as RequestInit);
    expect([streamed.status, await codeOf(streamed)]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
  });

  test("a body that is not JSON is an invalid argument", async () => {
    const headers = { ...json, accept: "application/graphql-response+json" };
    const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: "{" });
    expect([response.status, await codeOf(response)]).toEqual([400, "INVALID_ARGUMENT"]);
  });

  test("mutations by GET are refused", async () => {
    const query = encodeURIComponent('mutation { createDataset(input: { name: "x", jsonl: "" }) { id } }');
    const response = await fetch(`${server.url}/graphql?query=${query}`);
    expect([response.status, await codeOf(response)]).toEqual([405, "INVALID_ARGUMENT"]);
  });
});

describe("access", () => {
  let guarded: Awaited<ReturnType<TestServer["another"]>>;
  beforeAll(async () => {
    guarded = await server.another({ apiToken: "secret", corsOrigins: ["https://app.example.org"] });
  });
  afterAll(() => guarded.close());
  const body = JSON.stringify({ query: "{ service { pageSize } }" });
  const post = (headers: object) =>
    fetch(`${guarded.url}/graphql`, { method: "POST", headers: { ...json, ...headers }, body });

  test("the right token gives access", async () => {
    expect((await post({ authorization: "Bearer secret" })).status).toBe(200);
    expect((await post({ authorization: "bearer secret" })).status).toBe(200);
  });

  test.each([{}, { authorization: "Bearer Secret" }, { authorization: "secret" }, { authorization: "Bearer " }])(
    "%j does not",
    async (headers) => {
      const response = await post(headers);
      expect([response.status, await codeOf(response)]).toEqual([401, "UNAUTHENTICATED"]);
    },
  );

  test.each(["/checkpoints/x/log.steplog", "/datasets?name=x", "/uploads/x"])("%s needs it too", async (path) => {
    const method = path.startsWith("/datasets") ? "POST" : "GET";
    expect((await fetch(`${guarded.url}${path}`, { method })).status).toBe(401);
  });

  test("pages and health checks do not", async () => {
    for (const path of ["/healthz", "/readyz", "/"]) expect((await fetch(`${guarded.url}${path}`)).status).toBe(200);
    expect((await fetch(`${guarded.url}/graphql`, { headers: { accept: "text/html" } })).status).toBe(200);
  });

  test("a WebSocket sends the token in its first message", async () => {
    const query = "{ service { pageSize } }";
    const good = wsClient(guarded, { connectionParams: { Authorization: "Bearer secret" } });
    expect(await collect(good, query, {})).toEqual([{ service: { pageSize: 100 } }]);
    await good.dispose();
    for (const connectionParams of [{}, { Authorization: "Bearer no" }]) {
      const bad = wsClient(guarded, { connectionParams });
      await expect(collect(bad, query, {})).rejects.toMatchObject({ code: 4403 });
    }
  });

  test("pages of a listed origin have access, others do not", async () => {
    const preflight = (origin: string) => fetch(`${guarded.url}/graphql`, { method: "OPTIONS", headers: { origin } });
    const listed = await preflight("https://app.example.org");
    expect([listed.status, listed.headers.get("access-control-allow-origin")]).toEqual([
      204,
      "https://app.example.org",
    ]);
    expect((await preflight("https://evil.example.org")).headers.get("access-control-allow-origin")).toBeNull();
  });

  test("another site's page can neither write nor open a WebSocket, even without a token", async () => {
    const headers = { origin: "https://evil.example.org" };
    const form = await fetch(`${server.url}/datasets?name=evil`, { method: "POST", headers, body: rows(1) });
    expect(form.status).toBe(401);
    const graphql = await fetch(`${server.url}/graphql`, { method: "POST", headers: { ...headers, ...json }, body });
    expect(graphql.status).toBe(401);
    const own = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { ...json, origin: server.url },
      body,
    });
    expect(own.status).toBe(200);
    const { WebSocket } = await import("ws");
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws", headers);
    await expect(new Promise((_resolve, reject) => socket.on("error", reject))).rejects.toThrow(/403/u);
  });
});

test("links start with the public URL if one is set", async () => {
  const other = await server.another({ publicUrl: "https://steplog.example.org/" });
  const query = "{ fineTunes { nodes { checkpoints { nodes { logUrl } } } } }";
  const response = await fetch(`${other.url}/graphql`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ query }),
  });
  expect(await response.text()).toContain('"https://steplog.example.org/checkpoints/');
  await other.close();
});

test("a port that is taken is UNAVAILABLE, and the message names it", async () => {
  const port = Number(new URL(server.url).port);
  const failed = await server.another({ port }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "UNAVAILABLE" });
  expect(String(failed)).toContain(`127.0.0.1:${port}`);
});

test("queries by GET work", async () => {
  const response = await fetch(`${server.url}/graphql?query=${encodeURIComponent("{ service { pageSize } }")}`);
  expect(await response.json()).toMatchObject({ data: { service: { pageSize: 100 } } });
});
