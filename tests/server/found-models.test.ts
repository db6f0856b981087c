/** Clients list the models found in the models folder and register them by name. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
  const usable = { name: "later", family: "opt", dtype: "BF16", parameters: 5e9, bytes: 1e10, contextLength: 2048 };
  await server.store.foundModels.report("w", [usable, { name: "damaged", problem: "MODEL_INVALID: it is truncated" }]);
});
afterAll(() => server.dispose());

const list = "{ foundModels { name family dtype parameters bytes contextLength registering problem } }";
const register = `mutation ($name: String!) {
  registerBaseModel(name: $name) { foundModel { name registering problem } baseModel { name hash } }
}`;
const unknown = { family: null, dtype: null, parameters: null, bytes: null, contextLength: null };
const later = { name: "later", family: "opt", dtype: "BF16", parameters: 5e9, bytes: 1e10, contextLength: 2048 };

async function refusal(name: string) {
  const { errors } = await server.gql(register, { name });
  return { code: errors?.[0]?.extensions.code, message: errors?.[0]?.message ?? "" };
}

test("found models are listed with their sizes, or with why they cannot be used", async () => {
  expect(await server.ask(list)).toStrictEqual({
    foundModels: [
      { name: "damaged", ...unknown, registering: false, problem: "MODEL_INVALID: it is truncated" },
      { ...later, registering: false, problem: null },
    ],
  });
});

test("only names that a worker found are accepted, not paths or URLs", async () => {
  for (const name of ["nobody", "../later", "/etc", "later/", "https://hub.example/a/b", "", "LATER"]) {
    const { code, message } = await refusal(name);
    expect(code).toBe("NOT_FOUND");
    expect(message).toContain("Found models: damaged, later.");
  }
  expect(await refusal("damaged")).toMatchObject({
    code: "INVALID_STATE",
    message: expect.stringContaining("truncated") as unknown,
  });
});

test("a registration is requested once and leads to a base model", async () => {
  const waiting = { foundModel: { name: "later", registering: true, problem: null }, baseModel: null };
  for (let turn = 0; turn < 2; turn++) {
    expect(await server.ask(register, { name: "later" })).toStrictEqual({ registerBaseModel: waiting });
  }
  expect(await server.store.foundModels.claimRegistration({ worker: "w", leaseMs: 1_000, names: ["later"] })).toBe(
    "later",
  );
  await server.store.foundModels.failRegistration("later", "w", "INTERNAL: the disk is on fire");
  expect(await server.ask(list)).toMatchObject({
    foundModels: [{}, { registering: false, problem: "INTERNAL: the disk is on fire" }],
  });

  expect(await server.ask(register, { name: "later" })).toStrictEqual({ registerBaseModel: waiting });
  await server.store.baseModels.register({ ...later, hash: "ab".repeat(32) });
  const done = { foundModel: null, baseModel: { name: "later", hash: "ab".repeat(32) } };
  expect(await server.ask(register, { name: "later" })).toStrictEqual({ registerBaseModel: done });
  expect(await server.ask(list)).toMatchObject({ foundModels: [{ name: "damaged" }] });
});

test("both need the API token if one is set", async () => {
  const closed = await server.another({ apiToken: "secret" });
  for (const [query, variables] of [
    [list, {}],
    [register, { name: "damaged" }],
  ] as const) {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query, variables });
    const response = await fetch(`${closed.url}/graphql`, { method: "POST", headers, body });
    expect(response.status).toBe(401);
  }
  await closed.close();
});
