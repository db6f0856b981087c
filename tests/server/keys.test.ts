/** API keys: made, used, rotated and revoked, over HTTP, WebSocket and event streams. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDataset, createFineTune, testServer, type TestServer, wsClient } from "./harness.ts";

let server: TestServer;
beforeEach(async () => {
  server = await testServer();
});
afterEach(() => server.dispose());

interface Answer {
  readonly data?: Record<string, never> | null;
  readonly errors?: readonly { message: string; extensions: { code: string } }[];
}

async function asking(key: string | null, query: string, variables: object = {}): Promise<Answer & { status: number }> {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key !== null && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as Answer) };
}

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;

const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  key apiKey { id name start scopes expiresAt lastUsedAt revokedAt project { name } } } }`;

interface Made {
  readonly key: string;
  readonly apiKey: { readonly id: string; readonly start: string; readonly scopes: readonly string[] };
}

async function makeKey(by: string | null, input: object): Promise<Made> {
  const { data, errors } = await asking(by, create, { input: { name: "a key", ...input } });
  if (!data) throw new Error(JSON.stringify(errors));
  return data["createApiKey"] as unknown as Made;
}

const admin = { scopes: ["ADMIN"] };

async function makeProject(by: string, name: string): Promise<string> {
  const { data, errors } = await asking(by, "mutation ($name: String!) { createProject(name: $name) { id } }", {
    name,
  });
  if (!data) throw new Error(JSON.stringify(errors));
  return (data["createProject"] as unknown as { id: string }).id;
}

/** A promise and what resolves it. */
function settled<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const viewer = "{ viewer { scopes project { name } apiKey { name } } }";

describe("a service", () => {
  test("without keys is the operator's, and from the first key on every request needs one", async () => {
    const before = await asking(null, viewer);
    expect(before.data).toEqual({
      viewer: {
        scopes: ["READ", "WRITE", "TRAIN", "INFER", "ADMIN"],
        project: { name: "default" },
        apiKey: null,
      },
    });
    const { key, apiKey } = await makeKey(null, { scopes: ["READ", "READ"] });
    expect(key).toMatch(/^steplog_[\w-]{40}$/u);
    expect(apiKey).toMatchObject({ scopes: ["READ"], start: key.slice(0, 14), name: "a key", revokedAt: null });
    await expect.poll(async () => (await asking(null, viewer)).status).toBe(401);
    expect(codeOf(await asking(null, viewer))).toBe("UNAUTHENTICATED");
    expect(codeOf(await asking("steplog_wrong", viewer))).toBe("UNAUTHENTICATED");
    expect((await asking(key, viewer)).data).toEqual({
      viewer: { scopes: ["READ"], project: { name: "default" }, apiKey: { name: "a key" } },
    });
    for (const path of ["/v1/models", "/fine-tunes/x/log.steplog", "/checkpoints/x/log.steplog"])
      expect((await fetch(`${server.url}${path}`)).status).toBe(401);
    expect((await fetch(`${server.url}/uploads`, { method: "POST" })).status).toBe(401);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  test("with keys listens and answers under any name, and does not start without keys where others reach it", async () => {
    await expect(server.another({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const { key } = await makeKey(null, { scopes: ["READ"] });
    const other = await server.another({ host: "0.0.0.0" });
    const response = await fetch(`${other.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: viewer }),
    });
    expect(response.status).toBe(200);
    await other.close();
  });

  test("takes the token of its environment for the operator's, beside keys", async () => {
    await makeKey(null, { scopes: ["READ"] });
    const other = await server.another({ apiToken: "secret" });
    const headers = { "content-type": "application/json", authorization: "Bearer secret" };
    const asked = await fetch(`${other.url}/graphql`, {
      method: "POST",
      headers,
      body: JSON.stringify({ query: viewer }),
    });
    expect(await asked.json()).toMatchObject({ data: { viewer: { apiKey: null, project: { name: "default" } } } });
    await other.close();
  });
});

describe("a key", () => {
  test("does what its scopes name", async () => {
    const boss = (await makeKey(null, admin)).key;
    const reader = (await makeKey(boss, { scopes: ["READ"] })).key;
    const infers = (await makeKey(boss, { scopes: ["INFER"] })).key;
    const dataset =
      'mutation { createDataset(input: { name: "d", jsonl: "{\\"prompt\\":\\"a\\",\\"completion\\":\\"b\\"}" }) { id } }';
    expect(codeOf(await asking(reader, dataset))).toBe("FORBIDDEN");
    expect(codeOf(await asking(reader, "{ apiKeys { nodes { id } } }"))).toBe("FORBIDDEN");
    expect((await asking(reader, "{ fineTunes { nodes { id } } }")).errors).toBeUndefined();
    expect(codeOf(await asking(infers, "{ fineTunes { nodes { id } } }"))).toBe("FORBIDDEN");
    const models = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${infers}` } });
    expect(models.status).toBe(200);
    const refused = await fetch(`${server.url}/v1/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${reader}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "bytes", prompt: "a" }),
    });
    // Nobody can serve it here, and nobody may ask: whichever is seen first, nothing is queued.
    expect([403, 503]).toContain(refused.status);
    expect((await server.queued()).completions).toBe(0);
  });

  test("expires", async () => {
    const boss = (await makeKey(null, admin)).key;
    const { key } = await makeKey(boss, { scopes: ["READ"], expiresInDays: 2 / 86_400 });
    expect((await asking(key, viewer)).status).toBe(200);
    await expect.poll(async () => (await asking(key, viewer)).status, { timeout: 12_000 }).toBe(401);
  });

  test("is rotated: the new one has its scopes, and the old one ends after the overlap", async () => {
    const boss = (await makeKey(null, admin)).key;
    const old = await makeKey(boss, { scopes: ["READ", "TRAIN"], expiresInDays: 30 });
    const rotate = `mutation ($id: ID!, $overlap: Int!) { rotateApiKey(id: $id, overlapSeconds: $overlap) {
      key apiKey { name scopes expiresAt } } }`;
    const first = await asking(boss, rotate, { id: old.apiKey.id, overlap: 3_600 });
    const made = first.data?.["rotateApiKey"] as unknown as Made & { apiKey: { expiresAt: string } };
    expect(made.apiKey.scopes).toEqual(["READ", "TRAIN"]);
    expect(Date.parse(made.apiKey.expiresAt)).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    for (const key of [old.key, made.key]) expect((await asking(key, viewer)).status).toBe(200);
    await asking(boss, rotate, { id: old.apiKey.id, overlap: 0 });
    await expect.poll(async () => (await asking(old.key, viewer)).status).toBe(401);
  });

  test("closes the door at once by being the first one", async () => {
    await makeKey(null, admin);
    expect((await asking(null, viewer)).status).toBe(401);
  });

  test("may rotate itself at once: whoever does is answered, though the key has ended", async () => {
    const rotate = "mutation ($id: ID!) { rotateApiKey(id: $id, overlapSeconds: 0) { key apiKey { id } } }";
    let own = await makeKey(null, admin);
    for (let turn = 0; turn < 20; turn += 1) {
      const { data } = await asking(own.key, rotate, { id: own.apiKey.id });
      own = data?.["rotateApiKey"] as unknown as Made;
    }
    expect((await asking(own.key, viewer)).status).toBe(200);
  });

  test("may rotate itself over a socket: its successor is sent before the socket is closed, and nothing else", async () => {
    const run = await createFineTune(server);
    const own = await makeKey(null, { scopes: ["ADMIN", "TRAIN"] });
    const closed = settled<number>();
    const client = wsClient(server, {
      connectionParams: { authorization: `Bearer ${own.key}` },
      on: { closed: (event) => closed.resolve((event as { code: number }).code) },
    });
    const heard: unknown[] = [];
    const listens = settled<true>();
    client.subscribe(
      { query: `subscription { fineTuneStatus(fineTuneId: "${run}") { priority } }` },
      { next: ({ data }) => (heard.push(data), listens.resolve(true)), error: () => {}, complete: () => {} },
    );
    await listens.promise;
    // What follows the rotation gives the gateway time to hear of it before the answer is whole.
    const names = Array.from({ length: 12 }, (_, index) => `later${index}: createProject(name: "p${index}") { id }`);
    const query = `mutation { rotateApiKey(id: "${own.apiKey.id}", overlapSeconds: 0) { key }
      ${names.join(" ")} updateFineTune(id: "${run}", input: { priority: 7 }) { id } }`;
    const answers: Answer[] = [];
    for await (const answer of client.iterate({ query })) answers.push(answer as Answer);
    expect(answers).toHaveLength(1);
    const { key: successor } = (answers[0]?.data ?? expect.unreachable())["rotateApiKey"] as unknown as Made;
    expect(await closed.promise).toBe(4403);
    expect(heard).toEqual([{ fineTuneStatus: { priority: 0 } }]);
    expect((await asking(successor, viewer)).status).toBe(200);
    await client.dispose();
  });

  test("is told to have been used", async () => {
    const boss = (await makeKey(null, admin)).key;
    const { key, apiKey } = await makeKey(boss, { scopes: ["READ"] });
    const lastUsed = async () => {
      const { data } = await asking(boss, "query ($id: ID!) { node(id: $id) { ... on ApiKey { lastUsedAt } } }", {
        id: apiKey.id,
      });
      return (data?.["node"] as { lastUsedAt: string | null } | undefined)?.lastUsedAt;
    };
    expect(await lastUsed()).toBeNull();
    await asking(key, viewer);
    // It is noted beside the answer, which does not wait for it.
    const minuteAgo = Date.now() - 60_000;
    await expect.poll(async () => Date.parse((await lastUsed()) ?? ""), { timeout: 10_000 }).toBeGreaterThan(minuteAgo);
  });

  test("of another project manages that one alone", async () => {
    const boss = (await makeKey(null, admin)).key;
    const [red, blue] = [await makeProject(boss, "red"), await makeProject(boss, "blue")];
    const redBoss = (await makeKey(boss, { ...admin, project: red })).key;
    expect((await asking(redBoss, viewer)).data).toMatchObject({ viewer: { project: { name: "red" } } });
    const own = await makeKey(redBoss, { scopes: ["READ"] });
    expect(own.apiKey).toMatchObject({ project: { name: "red" } });
    const inBlue = { input: { name: "x", scopes: ["READ"], project: blue } };
    expect(codeOf(await asking(redBoss, create, inBlue))).toBe("NOT_FOUND");
    expect(codeOf(await asking(redBoss, 'mutation { createProject(name: "x") { id } }'))).toBe("FORBIDDEN");
    const names = await asking(redBoss, "{ projects { nodes { name } } apiKeys { nodes { name } } }");
    expect(names.data).toMatchObject({ projects: { nodes: [{ name: "red" }] }, apiKeys: { nodes: [{}, {}] } });
    const taken = await asking(boss, 'mutation { createProject(name: "red") { id } }');
    expect(codeOf(taken)).toBe("CONFLICT");
  });
});

describe("a key that is revoked", () => {
  const revoke = "mutation ($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";

  test("ends WebSockets and event streams that are open under it, at once, and no others", async () => {
    const id = await createFineTune(server);
    const boss = (await makeKey(null, admin)).key;
    const { key, apiKey } = await makeKey(boss, { scopes: ["READ"] });
    const query = "subscription ($id: ID!) { fineTuneStatus(fineTuneId: $id) { status } }";
    const socketOf = (token: string) => {
      const [ended, heard] = [settled<number>(), settled<true>()];
      const client = wsClient(server, {
        connectionParams: { authorization: `Bearer ${token}` },
        on: { closed: (event) => ended.resolve((event as { code: number }).code) },
      });
      client.subscribe(
        { query, variables: { id } },
        { next: () => heard.resolve(true), error: () => {}, complete: () => {} },
      );
      return { client, ended: ended.promise, heard: heard.promise };
    };
    const [other, ending] = [socketOf(boss), socketOf(key)];
    await Promise.all([other.heard, ending.heard]);
    const stream = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream", authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables: { id } }),
    });
    const reader = stream.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    const start = performance.now();
    const { data } = await asking(boss, revoke, { id: apiKey.id });
    expect(data).toMatchObject({ revokeApiKey: { revokedAt: expect.any(String) as unknown } });
    expect(await ending.ended).toBe(4403);
    const rest = (async () => {
      for (;;) if ((await reader?.read())?.done !== false) return "ended";
    })().catch(() => "broken");
    expect(await rest).toMatch(/ended|broken/u);
    // News, not a poll: that comes after five seconds.
    expect(performance.now() - start).toBeLessThan(4_000);
    expect(await Promise.race([other.ended, Promise.resolve("open")])).toBe("open");
    await other.client.dispose();
    expect((await asking(key, viewer)).status).toBe(401);
  });

  test("ends at every gateway", async () => {
    const boss = (await makeKey(null, admin)).key;
    const { key, apiKey } = await makeKey(boss, { scopes: ["READ"] });
    const other = await server.another();
    const ask = () =>
      fetch(`${other.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
        body: JSON.stringify({ query: viewer }),
      });
    expect((await ask()).status).toBe(200);
    await asking(boss, revoke, { id: apiKey.id });
    await expect.poll(async () => (await ask()).status, { timeout: 4_000 }).toBe(401);
    await other.close();
  });
});

test("a dataset is shared to be read, and no longer", async () => {
  const dataset = await createDataset(server);
  const boss = (await makeKey(null, admin)).key;
  const red = await makeProject(boss, "red");
  const reader = (await makeKey(boss, { scopes: ["READ", "WRITE"], project: red })).key;
  const seen = async () =>
    (
      await asking(reader, "query ($id: ID!) { node(id: $id) { ... on Dataset { rows sharedWith { name } } } }", {
        id: dataset,
      })
    ).data?.["node"];
  expect(await seen()).toBeNull();
  const writer = (await makeKey(boss, { scopes: ["WRITE"] })).key;
  const variables = { id: dataset, project: red };
  const share =
    "mutation ($id: ID!, $project: ID!) { shareDataset(id: $id, project: $project) { sharedWith { name } } }";
  expect((await asking(writer, share, variables)).data).toEqual({ shareDataset: { sharedWith: [{ name: "red" }] } });
  expect(await seen()).toEqual({ rows: 3, sharedWith: [] });
  // To read is not to share.
  expect(codeOf(await asking(reader, share, variables))).toBe("NOT_FOUND");
  const unshare = "mutation ($id: ID!, $project: ID!) { unshareDataset(id: $id, project: $project) { id } }";
  await asking(writer, unshare, variables);
  expect(await seen()).toBeNull();
});
