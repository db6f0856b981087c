/** Rate limits by key and by address, as clients of HTTP, WebSockets and the OpenAI protocol meet them. */
import OpenAI, { RateLimitError } from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RateOptions } from "../../server/rate-limits.ts";
import { networkOf } from "../../server/rate-limits.ts";
import type { RunningServer, ServerConfig } from "../../server/server.ts";
import { testServer, type TestServer, wsClient } from "./harness.ts";

let server: TestServer;
let keys: { readonly boss: string; readonly one: string; readonly other: string; readonly oneId: string };
let project: string;

beforeAll(async () => {
  server = await testServer();
  const make = (by: string | null, input: object) =>
    asked<{ createApiKey: { key: string; apiKey: { id: string } } }>(
      server,
      by,
      "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }",
      { input: { name: "key", ...input } },
    ).then(({ data }) => data.createApiKey);
  const { key: boss } = await make(null, { scopes: ["ADMIN"] });
  const made = await asked<{ createProject: { id: string } }>(
    server,
    boss,
    'mutation { createProject(name: "team") { id } }',
  );
  project = made.data.createProject.id;
  const scopes = ["READ", "WRITE", "INFER", "ADMIN"];
  const { key: one, apiKey } = await make(boss, { scopes, project });
  const { key: other } = await make(boss, { scopes, project });
  keys = { boss, one, other, oneId: apiKey.id };
});
afterAll(() => server.dispose());

interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: T;
  readonly errors?: readonly { readonly message: string; readonly extensions: Record<string, unknown> }[];
}

const small = "{ service { pageSize } }";
/** Three points. */
const large =
  "{ fineTunes(first: 100) { nodes { id name status loss device tags createdAt baseModel { id name } dataset { id name } } } }";

async function asked<T>(of: RunningServer, key: string | null, query: string, variables: object = {}) {
  const response = await fetch(`${of.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key !== null && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { status, headers } = response;
  return { status, headers, ...((await response.json()) as object) } as Answer<T>;
}

const limiting = (rates: Partial<RateOptions["rates"]>, more: Partial<ServerConfig> = {}) =>
  server.another({
    rateLimits: { mode: "auto", rates: { graphql: 0, openai: 0, files: 0, ...rates }, proxies: 0 },
    ...more,
  });

const itemsOf = (header: string | null) => /^"(\w+)";(\w)=(\d+);(\w)=(\d+);pk=:([\w+/=]+):$/u.exec(header ?? "");

describe("GraphQL over HTTP", () => {
  let limited: RunningServer;
  beforeEach(async () => {
    limited = await limiting({ graphql: 5 });
    return () => limited.close();
  });

  test("an answer tells the limit, what is left and until when, and nothing of the key", async () => {
    const { headers } = await asked(limited, keys.one, small);
    const [, name, q, limit, w, window, pk = ""] = itemsOf(headers.get("ratelimit-policy")) ?? [];
    expect([name, q, limit, w, window]).toEqual(["graphql", "q", "5", "w", "60"]);
    const [, of, r, remaining, t, resets, samePk] = itemsOf(headers.get("ratelimit")) ?? [];
    expect([of, r, remaining, t, Number(resets) > 55, samePk]).toEqual(["graphql", "r", "4", "t", true, pk]);
    const told = Buffer.from(pk, "base64").toString("latin1");
    expect(told).toHaveLength(9);
    for (const secret of [keys.one, keys.oneId]) expect(secret).not.toContain(told);
    const others = await asked(limited, keys.other, small);
    expect(itemsOf(others.headers.get("ratelimit"))?.[6]).not.toBe(pk);
  });

  test("what is beyond it is refused with 429 and when to try again, and other keys go on", async () => {
    for (let turn = 0; turn < 5; turn += 1) expect((await asked(limited, keys.one, small)).status).toBe(200);
    const { status, headers, errors } = await asked(limited, keys.one, small);
    expect(status).toBe(429);
    const [{ message, extensions } = { message: "", extensions: {} }] = errors ?? [];
    expect(extensions["code"]).toBe("RATE_LIMITED");
    expect(message).toMatch(/^The limit graphql is 5 points in 60 seconds; 0 are left/u);
    const seconds = Number(headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(50);
    expect(extensions["retryAfter"]).toBe(seconds);
    expect(itemsOf(headers.get("ratelimit"))?.slice(1, 4)).toEqual(["graphql", "r", "0"]);
    expect((await asked(limited, keys.other, small)).status).toBe(200);
  });

  test("what comes without a valid key is refused, and takes nothing from those who have one", async () => {
    for (const given of [null, "wrong", `${keys.one}x`])
      for (let turn = 0; turn < 6; turn += 1) {
        const { status, headers } = await asked(limited, given, small);
        expect([status, headers.get("ratelimit")]).toEqual([401, null]);
      }
    for (let turn = 0; turn < 5; turn += 1) expect((await asked(limited, keys.one, small)).status).toBe(200);
  });

  test("an operation takes points by its complexity, and one that is refused takes one", async () => {
    const first = await asked<unknown>(limited, keys.one, large);
    expect(first.errors).toBeUndefined();
    expect(itemsOf(first.headers.get("ratelimit"))?.[3]).toBe("2");
    const { status, headers, errors } = await asked(limited, keys.one, large);
    expect([status, errors?.[0]?.extensions["code"]]).toEqual([429, "RATE_LIMITED"]);
    expect(errors?.[0]?.message).toContain("1 are left, and this takes 2");
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(50);
  });
});

test("over a WebSocket the operation gets the error, and the socket stays open", async () => {
  const limited = await limiting({ graphql: 3 });
  const client = wsClient(limited, { lazy: false, connectionParams: { authorization: `Bearer ${keys.one}` } });
  let closed = 0;
  client.on("closed", () => (closed += 1));
  const ask = async () => {
    for await (const answer of client.iterate({ query: small })) return answer;
    return null;
  };
  for (let turn = 0; turn < 3; turn += 1) expect(await ask()).toMatchObject({ data: { service: { pageSize: 100 } } });
  await expect(ask()).rejects.toMatchObject([
    { extensions: { code: "RATE_LIMITED", retryAfter: expect.any(Number) as unknown } },
  ]);
  await expect(ask()).rejects.toMatchObject([{ extensions: { code: "RATE_LIMITED" } }]);
  expect(closed).toBe(0);
  await client.dispose();
  await limited.close();
});

test("clients of the OpenAI protocol get its 429, and the headers that they read", async () => {
  const limited = await limiting({ openai: 2 });
  const openai = new OpenAI({ baseURL: `${limited.url}/v1`, apiKey: keys.one, maxRetries: 0 });
  const { response } = await openai.models.list().withResponse();
  expect(response.headers.get("x-ratelimit-limit-requests")).toBe("2");
  expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("1");
  expect(response.headers.get("x-ratelimit-reset-requests")).toMatch(/^(?:60|59)s$/u);
  await openai.models.list();
  const error = await openai.models.list().then(
    () => null,
    (refused: unknown) => refused,
  );
  expect(error).toBeInstanceOf(RateLimitError);
  expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded", type: "rate_limit_error" });
  expect(Number((error as RateLimitError).headers?.get("retry-after"))).toBeGreaterThan(50);
  expect((await asked(limited, keys.one, small)).headers.get("ratelimit")).toBeNull();
  await limited.close();
});

test("uploads and downloads have a limit of their own", async () => {
  const limited = await limiting({ files: 2 });
  const headers = { authorization: `Bearer ${keys.one}`, "tus-resumable": "1.0.0", "upload-length": "3" };
  const upload = await fetch(`${limited.url}/uploads`, { method: "POST", headers });
  expect([upload.status, itemsOf(upload.headers.get("ratelimit"))?.[3]]).toEqual([201, "1"]);
  const log = await fetch(`${limited.url}/fine-tunes/x/log.steplog`, { headers });
  expect([log.status, itemsOf(log.headers.get("ratelimit"))?.[3]]).toEqual([404, "0"]);
  const dataset = await fetch(`${limited.url}/datasets?name=x`, { method: "POST", headers, body: "{}" });
  expect([dataset.status, await dataset.json()]).toMatchObject([
    429,
    { errors: [{ extensions: { code: "RATE_LIMITED" } }] },
  ]);
  const late = await fetch(`${limited.url}/uploads`, { method: "POST", headers });
  expect([late.status, Number(late.headers.get("retry-after")) > 50]).toEqual([429, true]);
  await limited.close();
});

describe("an operator", () => {
  const set = `mutation ($of: RateLimitedInput!, $limits: RateLimitsInput!) {
    setRateLimits(of: $of, limits: $limits) { name limit } }`;
  const own = "{ rateLimits { name limit windowSeconds remaining resetsInSeconds } }";

  test("gives a project or a key other limits, which hold for the next request", async () => {
    const limited = await limiting({ graphql: 10, openai: 7 });
    const left = async (key: string) => (await asked<{ rateLimits: object[] }>(limited, key, own)).data.rateLimits;
    const usual = { name: "GRAPHQL", limit: 10, windowSeconds: 60 };
    expect(await left(keys.one)).toMatchObject([
      { ...usual, remaining: 9 },
      { name: "OPENAI", limit: 7, remaining: 7 },
    ]);
    const ofProject = { of: { project }, limits: { graphql: 50, openai: 0 } };
    const changed = await asked<unknown>(limited, keys.boss, set, ofProject);
    expect(changed.data).toEqual({
      setRateLimits: [
        { name: "GRAPHQL", limit: 50 },
        { name: "OPENAI", limit: 0 },
      ],
    });
    await expect.poll(() => left(keys.one)).toMatchObject([{ name: "GRAPHQL", limit: 50 }]);
    await asked(limited, keys.boss, set, { of: { apiKey: keys.oneId }, limits: { graphql: 200 } });
    await expect.poll(() => left(keys.one)).toMatchObject([{ name: "GRAPHQL", limit: 200 }]);
    expect(await left(keys.other)).toMatchObject([{ name: "GRAPHQL", limit: 50 }]);
    await asked(limited, keys.boss, set, { of: { apiKey: keys.oneId }, limits: { graphql: null } });
    await asked(limited, keys.boss, set, { of: { project }, limits: { graphql: null, openai: null } });
    await expect.poll(() => left(keys.one)).toMatchObject([{ limit: 10 }, { limit: 7 }]);
    await limited.close();
  });

  test("alone does so, and names exactly one of both", async () => {
    const code = async (key: string, of: object) =>
      (await asked(server, key, set, { of, limits: { graphql: 1 } })).errors?.[0]?.extensions["code"];
    expect(await code(keys.one, { apiKey: keys.oneId })).toBe("FORBIDDEN");
    expect(await code(keys.boss, { apiKey: keys.oneId, project })).toBe("INVALID_ARGUMENT");
    expect(await code(keys.boss, {})).toBe("INVALID_ARGUMENT");
    const nobody = Buffer.from("Project:00000000-0000-4000-8000-000000000009").toString("base64");
    expect(await code(keys.boss, { project: nobody })).toBe("NOT_FOUND");
  });
});

describe("without keys", () => {
  let open: TestServer;
  beforeAll(async () => {
    open = await testServer();
    return () => open.dispose();
  });
  const rates = { graphql: 2, openai: 2, files: 2 };
  const ask = (of: RunningServer, forwarded?: string) =>
    fetch(`${of.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(forwarded !== undefined && { "x-forwarded-for": forwarded }) },
      body: JSON.stringify({ query: small }),
    });

  test("nothing is limited where only this machine reaches the gateway, unless it is asked for", async () => {
    const local = await open.another({ rateLimits: { mode: "auto", rates, proxies: 0 } });
    for (let turn = 0; turn < 4; turn += 1) expect((await ask(local)).headers.get("ratelimit")).toBeNull();
    await local.close();
    const asked = await open.another({ rateLimits: { mode: "on", rates, proxies: 0 } });
    const statuses = [];
    for (let turn = 0; turn < 3; turn += 1) statuses.push((await ask(asked)).status);
    expect(statuses).toEqual([200, 200, 429]);
    await asked.close();
  });

  test("addresses are limited, as the listed number of proxies tells them, whatever clients put before", async () => {
    const proxied = await open.another({ rateLimits: { mode: "on", rates, proxies: 1 } });
    const statuses = [];
    for (const mine of ["1.1.1.1", "2.2.2.2", "3.3.3.3"])
      statuses.push((await ask(proxied, `${mine}, 192.0.2.7`)).status);
    statuses.push((await ask(proxied, "192.0.2.7, 192.0.2.8")).status);
    expect(statuses).toEqual([200, 200, 429, 200]);
    await proxied.close();
  });

  test("an IPv6 network is one address, an IPv4 one however it is written", () => {
    const from = (remoteAddress: string) => networkOf({ headers: {}, socket: { remoteAddress } as never }, 0);
    expect(from("2001:db8::1")).toBe(from("2001:db8::ffff"));
    expect(from("2001:db8::1")).not.toBe(from("2001:db8:0:1::1"));
    expect(from("::ffff:192.0.2.1")).toBe("192.0.2.1");
  });
});
