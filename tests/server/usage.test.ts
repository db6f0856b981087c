/** What a project uses and may use, over HTTP; and errors that say when to try again. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import {
  FakeWorker,
  createDataset,
  createFineTune,
  createFineTuneMutation,
  globalId,
  testServer,
  type TestServer,
} from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const today = () => new Date().toISOString().slice(0, 10);
const usageOf =
  "query ($from: Date!, $to: Date!, $project: ID) { usage(from: $from, to: $to, project: $project) { day steps tokensTrained stepSeconds bytes } }";
const setQuotas =
  "mutation ($project: ID, $quotas: QuotasInput!) { setProjectQuotas(project: $project, quotas: $quotas) { name limit used resetsAt } }";

test("usage has the steps of today, for the own project and by its id", async () => {
  await createFineTune(server);
  const worker = await FakeWorker.claim(server.store);
  await worker.train(4);
  const day = { day: today(), steps: 4, tokensTrained: 40, stepSeconds: 1 };
  expect(await server.ask(usageOf, { from: today(), to: today() })).toMatchObject({ usage: [day] });
  const project = globalId("Project", defaultProjectId);
  expect(await server.ask(usageOf, { from: "2026-01-01", to: "2026-01-31", project })).toEqual({ usage: [] });
});

test.each([
  ["a day that does not exist", { from: "2026-02-31", to: "2026-03-01" }, "Date must be a day"],
  ["days in the wrong order", { from: "2026-02-02", to: "2026-02-01" }, "Ask for 1 to 400"],
  ["too many days", { from: "2020-01-01", to: "2026-02-01" }, "Ask for 1 to 400"],
  [
    "the id of something else",
    { from: "2026-01-01", to: "2026-01-02", project: "RmluZVR1bmU6MQ==" },
    "project: is the id of a FineTune; give the id of a Project as this API returned it",
  ],
])("usage refuses %s", async (_what, variables, message) => {
  const { errors } = await server.gql(usageOf, variables);
  expect(errors?.[0]).toMatchObject({ extensions: { code: "INVALID_ARGUMENT" } });
  expect(errors?.[0]?.message).toContain(message);
});

test("a request beyond a quota says which, how much is used, and when to try again", async () => {
  const variables = { quotas: { stepsAMonth: 10 } };
  expect(await server.ask(setQuotas, variables)).toMatchObject({
    setProjectQuotas: [
      { name: "STEPS_A_MONTH", limit: 10, resetsAt: expect.stringMatching(/-01T00:00:00/u) as string },
    ],
  });
  const error = await createFineTune(server).catch((thrown: unknown) => String(thrown));
  expect(error).toContain("QUOTA_EXCEEDED");
  expect(error).toMatch(/"retryAfter":\d+,"quota":\{"name":"stepsAMonth","limit":10,"used":\d+,"resetsAt":"/u);
  await server.ask(setQuotas, { quotas: { stepsAMonth: null } });
});

test("an error that passes with time has Retry-After, over GraphQL and by the plain routes", async () => {
  const broken = {
    ...server.store,
    of: () => {
      throw new SteplogError("UNAVAILABLE", "Postgres does not answer.");
    },
  };
  const down = await server.another({ store: broken });
  try {
    const answer = await fetch(`${down.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "{ __typename }" }),
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
    const { errors } = (await answer.json()) as { errors: { extensions: object }[] };
    expect(errors[0]?.extensions).toEqual({ code: "UNAVAILABLE", issues: [], retryAfter: 2 });
  } finally {
    await down.close();
  }
  await server.ask(setQuotas, { quotas: { stepsAMonth: 0 } });
  const input = { name: "run", baseModel: "bytes", dataset: await createDataset(server) };
  const refused = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: createFineTuneMutation, variables: { input } }),
  });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  const { errors } = (await refused.json()) as { errors: { extensions: { code: string; http?: object } }[] };
  expect(errors[0]?.extensions.code).toBe("QUOTA_EXCEEDED");
  expect(errors[0]?.extensions.http).toBeUndefined();
});

test("what waits for workers is told to operators, and to nobody else", async () => {
  const other = await testServer();
  try {
    await createFineTune(other);
    const query = "{ service { queue { kind model waiting running lack } } }";
    const waits = { kind: "FINE_TUNE", model: "bytes", waiting: 1, running: 0, lack: expect.any(String) as string };
    expect(await other.ask(query)).toEqual({ service: { queue: [waits] } });
    const make = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }";
    const asKey = async (key: string | null, text: string, variables: object = {}) => {
      const headers = { "content-type": "application/json", ...(key !== null && { authorization: `Bearer ${key}` }) };
      const body = JSON.stringify({ query: text, variables });
      const answer = await fetch(`${other.url}/graphql`, { method: "POST", headers, body });
      return (await answer.json()) as { data: Record<string, Record<string, unknown>> };
    };
    const keyOf = async (by: string | null, name: string, scopes: string[]) =>
      String((await asKey(by, make, { input: { name, scopes } })).data["createApiKey"]?.["key"]);
    const boss = await keyOf(null, "boss", ["ADMIN", "READ"]);
    const reader = await keyOf(boss, "reader", ["READ"]);
    expect((await asKey(boss, query)).data).toEqual({ service: { queue: [waits] } });
    expect((await asKey(reader, query)).data).toEqual({ service: { queue: null } });
  } finally {
    await other.dispose();
  }
});
