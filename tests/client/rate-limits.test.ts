/** What the client does where a rate limit is used up: against a service of a few lines that refuses as told, and against a gateway. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GraphQLError } from "graphql";
import { makeServer } from "graphql-ws";
import { WebSocketServer } from "ws";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { SteplogClient, type SteplogClientOptions } from "../../client/index.ts";
import { RateLimitWaits } from "../../client/rate-limits.ts";
import { SteplogError } from "../../schema/errors.ts";
import { testServer, type TestServer } from "../server/harness.ts";
import { scratch } from "../support/models.ts";

/** Seconds, as short as no real service says. */
const retryAfter = 0.05;
const refusal = (seconds: number) => ({
  errors: [{ message: "Try again soon.", extensions: { code: "RATE_LIMITED", issues: [], retryAfter: seconds } }],
});

interface Seen {
  readonly path: string;
  readonly body: string;
}

interface Fake {
  readonly client: SteplogClient;
  readonly url: string;
  /** Every request, with those that were refused. */
  readonly seen: readonly Seen[];
  /** Seconds of each wait that the client told. */
  readonly waits: readonly number[];
}

/** A service that refuses its first `refused` requests, as `refuse` does, and then answers as `answer` does. */
async function fake({
  refused,
  refuse = (response) => json(response, 429, refusal(retryAfter)),
  answer = (response) => json(response, 200, { data: { thing: 1 } }),
  ...options
}: {
  readonly refused: number;
  readonly refuse?: (response: ServerResponse) => void;
  readonly answer?: (response: ServerResponse) => void;
} & Partial<SteplogClientOptions>): Promise<Fake> {
  const seen: Seen[] = [];
  const waits: number[] = [];
  const http = createServer((request, response) => {
    void textOf(request).then((body) => {
      seen.push({ path: request.url ?? "", body });
      (seen.length <= refused ? refuse : answer)(response);
    });
  });
  await new Promise<void>((resolve) => void http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => http.close().closeAllConnections());
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const client = new SteplogClient({ url, onRateLimit: (seconds) => waits.push(seconds), ...options });
  return { client, url, seen, waits };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk as string;
  return text;
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

test("a query waits as long as the service says, then sends the same request again", async () => {
  const { client, seen, waits } = await fake({ refused: 2 });
  const start = performance.now();
  expect(await client.query("{ thing }")).toEqual({ thing: 1 });
  expect(performance.now() - start).toBeGreaterThanOrEqual(2_000 * retryAfter - 5);
  expect(waits[0]).toBe(retryAfter);
  expect(seen).toHaveLength(3);
  expect(new Set(seen.map(({ body }) => body)).size).toBe(1);
});

test("so does a change: what is refused has done nothing", async () => {
  const { client, seen } = await fake({ refused: 1, answer: (to) => json(to, 200, { data: { removeAlias: true } }) });
  expect(await client.removeAlias("x")).toBe(true);
  expect(seen).toHaveLength(2);
});

test("beyond the client's patience it fails at once, with when to try again", async () => {
  const { client, seen, waits } = await fake({
    refused: 9,
    refuse: (to) => json(to, 429, refusal(41)),
    rateLimitPatienceMs: 40_000,
  });
  await expect(client.query("{ thing }")).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterS: 41 });
  expect([seen.length, waits]).toEqual([1, []]);
});

test("the patience is for all waits of a request together", async () => {
  const { client, seen } = await fake({ refused: 99, rateLimitPatienceMs: 2_500 * retryAfter });
  await expect(client.query("{ thing }")).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(seen).toHaveLength(3);
});

test("with none, nothing waits", async () => {
  const { client, seen } = await fake({ refused: 1, rateLimitPatienceMs: 0 });
  await expect(client.query("{ thing }")).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterS: retryAfter });
  expect(seen).toHaveLength(1);
});

test.each(["BUSY", "QUOTA_EXCEEDED"])("%s, which has the same status, is an error as before", async (code) => {
  const body = { errors: [{ message: "No.", extensions: { code, issues: [], retryAfter } }] };
  const { client, seen } = await fake({ refused: 1, refuse: (to) => json(to, 429, body) });
  await expect(client.query("{ thing }")).rejects.toMatchObject({ code, message: "No." });
  expect(seen).toHaveLength(1);
});

describe("a proxy before the service", () => {
  const refuse = (seconds?: string) => (response: ServerResponse) => {
    const headers = { "content-type": "text/html", ...(seconds !== undefined && { "retry-after": seconds }) };
    response.writeHead(429, headers).end("<h1>429 Too Many Requests</h1>");
  };

  test("is waited for as its header says", async () => {
    const { client, waits } = await fake({ refused: 1, refuse: refuse("1") });
    expect(await client.query("{ thing }")).toEqual({ thing: 1 });
    expect(waits).toEqual([1]);
  });

  test.each([
    ["7", 7, "Try again in 7 s."],
    ["Wed, 21 Oct 2026 07:28:00 GMT", undefined, "Try again later."],
    [undefined, undefined, "Try again later."],
  ])("whose header says %s", async (header, retryAfterS, words) => {
    const { client } = await fake({ refused: 9, refuse: refuse(header), rateLimitPatienceMs: 0 });
    await expect(client.query("{ thing }")).rejects.toMatchObject({
      code: "RATE_LIMITED",
      retryAfterS,
      message: expect.stringContaining(words) as string,
    });
  });
});

describe("an upload", () => {
  const rows = [{ prompt: "It is", completion: " good" }];
  const text = `${JSON.stringify(rows[0])}\n`;
  const stored = { id: "x", name: "rows", rows: 1, bytes: text.length, sha256: "" };
  const limited = () => fake({ refused: 1, answer: (to) => json(to, 201, stored) });
  const bytes = new TextEncoder().encode(text);
  async function* chunks() {
    yield bytes;
  }

  test.each([
    ["a list of rows", async () => ({ rows })],
    ["a blob", async () => ({ stream: new Blob([bytes]) })],
    ["something that can be read again", async () => ({ stream: { [Symbol.asyncIterator]: chunks } })],
    [
      "a file",
      async () => {
        const path = join(await scratch(), "rows.jsonl");
        await writeFile(path, bytes);
        return { path };
      },
    ],
  ])("of %s is sent again, whole", async (_, source) => {
    const { client, seen } = await limited();
    expect(await client.createDataset({ name: "rows", ...(await source()) })).toEqual(stored);
    expect(seen.map(({ body }) => body)).toEqual([text, text]);
  });

  test.each([
    ["a stream", () => ({ stream: new Blob([bytes]).stream() })],
    ["a generator of bytes", () => ({ stream: chunks() })],
    ["a generator of rows", () => ({ rows: rows.values() })],
  ])("of %s cannot be, and fails with when to try again", async (_, source) => {
    const { client, seen, waits } = await limited();
    const storing = client.createDataset({ name: "rows", ...source() });
    await expect(storing).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterS: retryAfter });
    expect([seen.length, waits]).toEqual([1, []]);
  });
});

test("a download waits too", async () => {
  const { client, url, waits } = await fake({ refused: 1, answer: (to) => void to.end("bytes") });
  const download = await client.download(`${url}/log.steplog`);
  expect(new TextDecoder().decode(await download.bytes())).toBe("bytes");
  expect(waits).toEqual([retryAfter]);
});

test("a wait ends when its signal aborts, with the signal's reason", async () => {
  const waiting = vi.fn<() => void>();
  const evaluation = { id: "x", status: "QUEUED" };
  const refuse = (response: ServerResponse) => json(response, 429, refusal(60));
  const { client } = await fake({
    refused: 9,
    refuse,
    answer: (to) => json(to, 200, { data: { modelEvaluation: evaluation } }),
    onRateLimit: waiting,
  });
  const controller = new AbortController();
  waiting.mockImplementation(() => controller.abort(new Error("enough")));
  await expect(client.waitForEvaluation("x", { signal: controller.signal })).rejects.toThrow("enough");
});

test("streams wait as well", async () => {
  const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "graphql-transport-ws" });
  onTestFinished(() => {
    sockets.clients.forEach((socket) => socket.terminate());
    sockets.close();
  });
  const refused = new Set<string>();
  const server = makeServer({
    onSubscribe: (_, __, { operationName = "" }) => {
      if (!refused.has(String(operationName))) {
        refused.add(String(operationName));
        const { message, extensions } = refusal(retryAfter).errors[0] ?? expect.unreachable();
        return [new GraphQLError(message, { extensions })];
      }
      const data = operationName === "Status" ? { fineTuneStatus: { id: "x", status: "SUCCEEDED" } } : {};
      return [new GraphQLError("done", { extensions: { code: "NOT_FOUND", issues: [], data } })];
    },
  });
  sockets.on("connection", (socket) => {
    const closed = server.opened(
      {
        protocol: socket.protocol,
        send: (text) => new Promise((resolve) => socket.send(text, () => resolve())),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (listen) => socket.on("message", (text) => void listen((text as Buffer).toString())),
      },
      {},
    );
    socket.on("close", (code, reason) => void closed(code, String(reason)));
  });
  await new Promise((resolve) => void sockets.once("listening", resolve));
  const waits: number[] = [];
  const url = `http://127.0.0.1:${(sockets.address() as AddressInfo).port}`;
  const client = new SteplogClient({ url, onRateLimit: (seconds) => waits.push(seconds) });
  // The second answer is an error of its own, which ends the reading.
  await expect(client.follow("x").next()).rejects.toMatchObject({ code: "NOT_FOUND", message: "done" });
  expect([...refused].toSorted()).toEqual(["Events", "Status", "Steps"]);
  expect(waits[0]).toBe(retryAfter);
  const impatient = new SteplogClient({ url, rateLimitPatienceMs: 0 });
  refused.clear();
  await expect(impatient.follow("x").next()).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterS: retryAfter });
});

test("what waits together is told once, and a wait after it anew", async () => {
  const told: number[] = [];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const waits = new RateLimitWaits({ onRateLimit: (seconds) => told.push(seconds) });
  const limited = (times: number) => {
    let left = times;
    return async () => {
      if (left-- > 0) throw new SteplogError("RATE_LIMITED", "no", [], { retryAfterS: 30 });
      return "done";
    };
  };
  const all = Promise.all([waits.outlast(limited(1)), waits.outlast(limited(2))]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await all).toEqual(["done", "done"]);
  expect(told).toEqual([30, 30]);
});

describe("against a gateway", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.dispose());

  test.each([
    ["a blob", (rows: Blob) => rows],
    ["a stream", (rows: Blob) => rows.stream()],
  ])("a large upload of %s that is refused hears why", async (_, source) => {
    const rateLimits = { mode: "on" as const, rates: { graphql: 0, openai: 0, files: 1 }, proxies: 0 };
    const limited = await server.another({ rateLimits });
    onTestFinished(() => limited.close());
    const client = new SteplogClient({ url: limited.url, rateLimitPatienceMs: 0 });
    const row = `${JSON.stringify({ prompt: "x".repeat(1_000), completion: " y" })}\n`;
    const stream = source(new Blob([row.repeat(30_000)]));
    await client.createDataset({ name: "rows", rows: [{ prompt: "a", completion: " b" }] });
    const refused = client.createDataset({ name: "large", stream });
    await expect(refused).rejects.toMatchObject({
      code: "RATE_LIMITED",
      message: expect.stringMatching(/^The limit files is 1 request in 60 seconds.*Try again in \d+ s\.$/u) as string,
    });
  });
});
