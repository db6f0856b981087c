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
