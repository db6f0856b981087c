/** What an operation costs is told in every answer: over HTTP, as an event stream and over a WebSocket. */
import type { ExecutionResult } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFineTune, FakeWorker, testServer, type TestServer, wsClient } from "./harness.ts";

let server: TestServer;
let run: string;

beforeAll(async () => {
  server = await testServer();
  run = await createFineTune(server, { steps: 3 });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(3);
  await worker.succeed();
});
afterAll(() => server.dispose());

type Ask = (query: string) => Promise<ExecutionResult[]>;

const post = (query: string, accept: string) =>
  fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify({ query, variables: { run } }),
  });

const overHttp: Ask = async (query) => [(await (await post(query, "application/json")).json()) as ExecutionResult];

const overEvents: Ask = async (query) => {
  const text = await (await post(query, "text/event-stream")).text();
  return [...text.matchAll(/^data: (\{.+\})$/gmu)].map(([, data]) => JSON.parse(data ?? "") as ExecutionResult);
};

const overSocket: Ask = async (query) => {
  const client = wsClient(server);
  const answers: ExecutionResult[] = [];
  for await (const answer of client.iterate({ query, variables: { run } })) answers.push(answer as ExecutionResult);
  await client.dispose();
  return answers;
};

const transports: Readonly<Record<string, Ask>> = {
  HTTP: overHttp,
  "server-sent events": overEvents,
  WebSocket: overSocket,
};
const allowed = { complexity: 50_000, depth: 12, breadth: 400 };
const steps = "subscription ($run: ID!) { steps(fineTuneId: $run) { step { step loss } } }";

describe.each(Object.keys(transports))("over %s", (transport) => {
  const ask: Ask = (query) => transports[transport]?.(query) ?? Promise.reject(new Error("no such transport"));

  test("an answer tells complexity, depth and breadth, and what they may be", async () => {
    const [answer] = await ask("{ service { pageSize version } a: fineTunes(first: 2) { nodes { id } } }");
    expect(answer?.extensions).toEqual({ cost: { complexity: 17, depth: 3, breadth: 6, allowed } });
    expect(answer?.errors).toBeUndefined();
  });

  test("an operation that is too large is refused with what was seen and what is allowed", async () => {
    const wide = Array.from({ length: 401 }, (_, index) => `a${index}: __typename`).join(" ");
    const [answer] = await ask(`{ ${wide} fineTunes(first: 100) { nodes { metrics(first: 2000) { step } } } }`);
    const cost = answer?.extensions?.["cost"] as { complexity: number };
    expect(cost).toMatchObject({ breadth: 405, depth: 4, allowed });
    expect(cost.complexity).toBeGreaterThan(50_000);
    const message = answer?.errors?.[0]?.message;
    expect(message).toContain("its breadth is 405, and the limit is 400");
    expect(message).toContain(`its complexity is ${cost.complexity}, and the limit is 50000`);
  });
});

test.each(["server-sent events", "WebSocket"])("a subscription over %s tells its cost once", async (transport) => {
  const answers = (await transports[transport]?.(steps)) ?? [];
  expect(answers.map(({ data }) => data)).toHaveLength(3);
  const costs = answers.map(({ extensions }) => extensions?.["cost"] ?? null);
  expect(costs).toEqual([{ complexity: expect.any(Number) as unknown, depth: 3, breadth: 4, allowed }, null, null]);
});

test("an answer that is partly an error has its cost over a WebSocket, too", async () => {
  const [answer] = await overSocket('{ service { pageSize } node(id: "x") { id } }');
  expect(answer?.errors?.length).toBeGreaterThan(0);
  expect(answer?.extensions).toMatchObject({ cost: { allowed } });
});
