/** Deleting by the API: repeating is safe, and what is still needed is named. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { FakeWorker, collect, createFineTune, globalId, testServer, type TestServer, wsClient } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const deleting = (what: string, more = "") => `mutation ($id: ID!) { delete${what}(id: $id${more}) }`;
const codesOf = async (query: string, variables: object) =>
  (await server.gql(query, variables)).errors?.map(({ extensions }) => extensions.code);

interface Named {
  readonly fineTune: { dataset: { id: string; name: string; deletedAt: string | null } };
}
const named = "query ($id: ID!) { fineTune(id: $id) { dataset { id name deletedAt } } }";

test("a run is deleted once it has ended, or with `cancel`, and a subscriber hears of it", async () => {
  const id = await createFineTune(server);
  const worker = await FakeWorker.claim(server.store);
  await worker.train(2);
  expect(await codesOf(deleting("FineTune"), { id })).toEqual(["INVALID_STATE"]);
  const client = wsClient(server);
  const watching = Promise.allSettled([
    collect(client, "subscription ($id: ID!) { steps(fineTuneId: $id) { step { step } } }", { id }),
  ]);
  expect(await server.ask(deleting("FineTune", ", cancel: true"), { id })).toEqual({ deleteFineTune: true });
  const [end] = await watching;
  expect(end).toMatchObject({ status: "rejected" });
  expect(JSON.stringify((end as PromiseRejectedResult).reason)).toContain("NOT_FOUND");
  await client.dispose();
  expect(await server.ask(deleting("FineTune"), { id })).toEqual({ deleteFineTune: false });
  expect(await server.ask("query ($id: ID!) { fineTune(id: $id) { id } }", { id })).toEqual({ fineTune: null });
});

test("a dataset of a run that has ended goes, and the run shows it", async () => {
  const run = await createFineTune(server);
  const { dataset } = (await server.ask<Named>(named, { id: run })).fineTune;
  expect(dataset).toMatchObject({ name: "rows", deletedAt: null });
  expect(await codesOf(deleting("Dataset"), { id: dataset.id })).toEqual(["CONFLICT"]);
  const worker = await FakeWorker.claim(server.store);
  await worker.train(1);
  const checkpoint = globalId("Checkpoint", (await worker.checkpoint()).id);
  await worker.succeed();
  expect(await server.ask(deleting("Dataset"), { id: dataset.id })).toEqual({ deleteDataset: true });
  expect(await server.ask(deleting("Dataset"), { id: dataset.id })).toEqual({ deleteDataset: false });
  const after = (await server.ask<Named>(named, { id: run })).fineTune.dataset;
  expect(after).toMatchObject({ name: "rows", deletedAt: expect.stringMatching(/^\d{4}-/u) as string });
  const fork = `mutation ($from: ID!) { createFineTune(input: { name: "next", from: $from }) { created } }`;
  expect(await codesOf(fork, { from: checkpoint })).toEqual(["NOT_FOUND"]);
  const none = "mutation ($id: ID!) { deleteWeights(id: $id) { weightsStatus } }";
  expect(await server.ask(none, { id: checkpoint })).toEqual({ deleteWeights: { weightsStatus: "NONE" } });
  expect(await server.ask(deleting("Checkpoint"), { id: checkpoint })).toEqual({ deleteCheckpoint: true });
  expect(await server.ask(deleting("Checkpoint"), { id: checkpoint })).toEqual({ deleteCheckpoint: false });
  expect(await server.ask(deleting("Evaluation"), { id: globalId("ModelEvaluation", "x") })).toEqual({
    deleteEvaluation: false,
  });
});

test("checkpoints have the time of their project; a run without any answers nothing, and says whether that may change", async () => {
  const keep = "mutation ($keep: ProjectKeepInput!) { setProjectKeep(keep: $keep) { checkpoints } }";
  expect(await server.ask(keep, { keep: { checkpoints: 500 } })).toEqual({ setProjectKeep: { checkpoints: 500 } });
  expect(await codesOf(keep, { keep: { checkpoints: 0 } })).toEqual(["INVALID_ARGUMENT"]);
  const id = await createFineTune(server);
  const worker = await FakeWorker.claim(server.store);
  await worker.train(1);
  const asked = async () => {
    const query = `mutation ($id: ID!) {
      createCompletion(input: { model: { fineTune: $id }, prompt: "a", maxTokens: 1 }) { completion { id } } }`;
    const { errors } = await server.gql(query, { id });
    return errors?.map(({ message, extensions }) => [message, "retryAfter" in extensions]);
  };
  expect(await asked()).toEqual([[expect.stringContaining("Wait for its first one"), true]]);
  const checkpoint = globalId("Checkpoint", (await worker.checkpoint()).id);
  await worker.succeed();
  const query = "query ($id: ID!) { node(id: $id) { ... on Checkpoint { expiresAt } } }";
  const { node } = await server.ask<{ node: { expiresAt: string } }>(query, { id: checkpoint });
  expect(Math.round((Date.parse(node.expiresAt) - Date.now()) / 1_000)).toBeCloseTo(500, -2);
  expect(await server.ask(deleting("Checkpoint"), { id: checkpoint })).toEqual({ deleteCheckpoint: true });
  expect(await asked()).toEqual([[expect.stringContaining("will have none"), false]]);
  expect(await server.ask(keep, { keep: { checkpoints: null } })).toEqual({ setProjectKeep: { checkpoints: null } });
});

test("a run, a dataset and an export show when they end, and the end can be moved and cleared", async () => {
  const make = `mutation { createDataset(input: { name: "brief", jsonl: "{\\"prompt\\": \\"a\\", \\"completion\\": \\" b\\"}",
    expiry: { ttl: 600 } }) { id expiresAt expiryHeldBy } }`;
  const { createDataset } = await server.ask<{ createDataset: { id: string; expiresAt: string } }>(make);
  const seconds = (at: string | null) => at && Math.round((Date.parse(at) - Date.now()) / 1_000);
  expect(createDataset).toMatchObject({ expiryHeldBy: null });
  expect(seconds(createDataset.expiresAt)).toBeCloseTo(600, -2);
  const set = async (id: string, expiry: object) => {
    const query = "mutation ($id: ID!, $expiry: ExpiryInput!) { setExpiry(id: $id, expiry: $expiry) { expiresAt } }";
    const { data, errors } = await server.gql(query, { id, expiry });
    return errors
      ? errors[0]?.extensions.code
      : (data as { setExpiry: { expiresAt: string | null } }).setExpiry.expiresAt;
  };
  const at = "2099-01-31T12:00:00.000Z";
  expect(await set(createDataset.id, { at })).toBe(at);
  expect(await set(createDataset.id, { never: true })).toBeNull();
  const run = await createFineTune(server);
  expect(await set(run, { at })).toBe(at);
  for (const expiry of [{ ttl: 0 }, { ttl: 1e12 }, { never: false }])
    expect(await set(run, expiry)).toBe("INVALID_ARGUMENT");
  expect(await set(globalId("Project", crypto.randomUUID()), { at })).toBe("INVALID_ARGUMENT");
  expect(await set(globalId("FineTune", crypto.randomUUID()), { at })).toBe("NOT_FOUND");
  const worker = await FakeWorker.claim(server.store);
  await worker.train(1);
  const id = globalId("Checkpoint", (await worker.checkpoint()).id);
  await worker.succeed();
  const materialise = (more: string) =>
    `mutation ($id: ID!) { materialiseCheckpoint(id: $id${more}) { weightsExpireAt exports { expiresAt } } }`;
  const exported = await server.ask<{
    materialiseCheckpoint: { weightsExpireAt: string | null; exports: { expiresAt: string }[] };
  }>(materialise(", dtype: FLOAT16, keepSeconds: 1000"), { id });
  expect(seconds(exported.materialiseCheckpoint.exports[0]?.expiresAt ?? null)).toBeCloseTo(1_000, -2);
  const usual = await server.ask<typeof exported>(materialise(""), { id });
  // 30 days, unless anybody says otherwise.
  expect(seconds(usual.materialiseCheckpoint.weightsExpireAt)).toBeCloseTo(2_592_000, -2);
  const none = await server.ask<typeof exported>(materialise(", keepSeconds: 0"), { id });
  expect(none.materialiseCheckpoint.weightsExpireAt).toBeNull();
});

test("a project's times are set by its admin, for what it creates afterwards, also by POST /datasets", async () => {
  const keep = "mutation ($keep: ProjectKeepInput!) { setProjectKeep(keep: $keep) { datasets weights } }";
  expect(await server.ask(keep, { keep: { datasets: 500, weights: 0 } })).toEqual({
    setProjectKeep: { datasets: 500, weights: 0 },
  });
  expect(await codesOf(keep, { keep: { datasets: 0 } })).toEqual(["INVALID_ARGUMENT"]);
  const post = async (more: string) => {
    const body = JSON.stringify({ prompt: "a", completion: " b" });
    const response = await fetch(`${server.url}/datasets?name=rows${more}`, { method: "POST", body });
    const { id } = (await response.json()) as { id: string };
    return id;
  };
  const left = async (id: string) => {
    const query = "query ($id: ID!) { node(id: $id) { ... on Dataset { expiresAt } } }";
    const { node } = await server.ask<{ node: { expiresAt: string } }>(query, { id });
    return Math.round((Date.parse(node.expiresAt) - Date.now()) / 1_000);
  };
  expect(await left(await post(""))).toBeCloseTo(500, -2);
  expect(await left(await post("&ttl=5000"))).toBeCloseTo(5_000, -2);
  expect(await server.ask(keep, { keep: { datasets: null, weights: null } })).toEqual({
    setProjectKeep: { datasets: null, weights: null },
  });
});

test("a base model is deleted by an operator, unless a run needs it", async () => {
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  const model = { name: "unused", hash: "ab".repeat(32), family: "opt", dtype: "F32", ...size };
  const id = globalId("BaseModel", (await server.store.baseModels.register(model)).id);
  const used = await server.ask<{ baseModels: { nodes: { id: string; name: string }[] } }>(
    "{ baseModels { nodes { id name } } }",
  );
  const needed = used.baseModels.nodes.find(({ name }) => name !== "unused");
  expect(await codesOf(deleting("BaseModel"), { id: needed?.id })).toEqual(["CONFLICT"]);
  expect(await server.ask(deleting("BaseModel"), { id })).toEqual({ deleteBaseModel: true });
  expect(await server.ask(deleting("BaseModel"), { id })).toEqual({ deleteBaseModel: false });
  const { id: projectId } = await server.store.projects.create("not theirs");
  const admin = server.store.of({ projectId, scopes: new Set(["admin"]), key: null });
  await expect(admin.administration.deleteBaseModel("any")).rejects.toMatchObject({ code: "FORBIDDEN" });
});
