/** Sweeps over the API: what they create, what refuses them, and what is known beforehand. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDataset, FakeWorker, type TestServer, testServer } from "./harness.ts";

let server: TestServer;
let dataset: string;
beforeAll(async () => {
  server = await testServer();
  dataset = await createDataset(server);
});
afterAll(() => server.dispose());

const inputOf = (vary: object, more: object = {}) => ({
  name: "rates",
  run: { name: "spam", baseModel: "bytes", dataset, hyperparameters: { steps: 10, estimator: "SPSA" } },
  vary,
  ...more,
});

const create = `mutation ($input: CreateSweepInput!) { createSweep(input: $input) {
  created
  sweep { id name varied passes statuses { status count } best { id } runs { id name hyperparameters { learningRate seed steps } sweep { name } } }
} }`;
const estimate = `query ($input: CreateSweepInput!) {
  estimateSweep(input: $input) { runs steps passes errors { code message issues { field message } } }
}`;

interface Made {
  readonly createSweep: {
    readonly created: boolean;
    readonly sweep: { readonly id: string; readonly runs: readonly { readonly id: string; readonly name: string }[] };
  };
}

const runCount = async () =>
  (await server.ask<{ fineTunes: { totalCount: number } }>("{ fineTunes(first: 0) { totalCount } }")).fineTunes
    .totalCount;

test("a grid has a run for each combination, named by what varies; the estimate tells how many and what they take", async () => {
  const input = inputOf({ grid: { learningRate: [1e-6, 1e-5], seed: [1, 2], estimator: ["SPSA"] } });
  expect(await server.ask(estimate, { input })).toEqual({
    estimateSweep: { runs: 4, steps: 40, passes: 80, errors: [] },
  });
  const made = await server.ask<Made>(create, { input });
  expect(made.createSweep).toMatchObject({
    created: true,
    sweep: {
      name: "rates",
      varied: ["learningRate", "seed"],
      passes: 80,
      statuses: [{ status: "QUEUED", count: 4 }],
      best: null,
    },
  });
  expect(made.createSweep.sweep.runs).toMatchObject(
    [
      [1e-6, 1],
      [1e-6, 2],
      [1e-5, 1],
      [1e-5, 2],
    ].map(([learningRate, seed]) => ({
      name: `spam: learningRate ${learningRate}, seed ${seed}`,
      hyperparameters: { learningRate, seed, steps: 10 },
      sweep: { name: "rates" },
    })),
  );
  const cancelled = await server.ask("mutation ($id: ID!) { cancelSweep(id: $id) { statuses { status count } } }", {
    id: made.createSweep.sweep.id,
  });
  expect(cancelled).toEqual({ cancelSweep: { statuses: [{ status: "CANCELLED", count: 4 }] } });
});

test("a list has the runs that it names; the best comes first to mind, and the sweep can be deleted with them", async () => {
  const input = inputOf({ list: [{ seed: 7 }, { seed: 8, steps: 20, weightDecay: null }] }, { idempotencyKey: "list" });
  const { createSweep } = await server.ask<Made>(create, { input });
  const { id, runs } = createSweep.sweep;
  expect(createSweep.sweep).toMatchObject({ varied: ["steps", "seed"], passes: 60 });
  expect(runs.map(({ name }) => name)).toEqual(["spam: seed 7", "spam: steps 20, seed 8"]);
  expect((await server.ask<Made>(create, { input })).createSweep).toMatchObject({ created: false, sweep: { id } });
  const worker = await FakeWorker.claim(server.store);
  await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 3, loss: 2, accuracy: null });
  const read = await server.ask(
    "query ($id: ID!) { sweep(id: $id) { best { id } } sweeps(first: 1) { nodes { id } } }",
    { id },
  );
  expect(read).toEqual({ sweep: { best: { id: runs[0]?.id } }, sweeps: { nodes: [{ id }] } });
  const remove = "mutation ($id: ID!, $cancel: Boolean) { deleteSweep(id: $id, runs: true, cancel: $cancel) }";
  const refused = await server.gql(remove, { id });
  expect(refused.errors?.[0]?.extensions.code).toBe("INVALID_STATE");
  expect(await server.ask(remove, { id, cancel: true })).toEqual({ deleteSweep: true });
  expect(await server.ask(remove, { id, cancel: true })).toEqual({ deleteSweep: false });
  expect(
    await server.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids: runs.map((run) => run.id) }),
  ).toEqual({
    nodes: [null, null],
  });
});

test.each([
  ["no run", { grid: {} }, "input.vary.grid"],
  ["too many runs", { grid: { seed: Array.from({ length: 101 }, (_, seed) => seed) } }, "input.vary.grid"],
  [
    "the same settings twice",
    {
      list: [
        { seed: 1, steps: 2 },
        { steps: 2, seed: 1 },
      ],
    },
    "input.vary.list",
  ],
  ["a value out of range", { grid: { batchSize: [8, 0] } }, "input.run.hyperparameters.batchSize"],
])("%s is refused, names the field, and creates nothing", async (_what, vary, field) => {
  const before = await runCount();
  const { errors } = await server.gql(create, { input: inputOf(vary) });
  expect(errors?.[0]?.extensions).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field }] });
  const told = await server.ask<{ estimateSweep: { errors: unknown[] } }>(estimate, { input: inputOf(vary) });
  expect(told.estimateSweep.errors).toMatchObject([{ code: "INVALID_ARGUMENT", issues: [{ field }] }]);
  expect(await runCount()).toBe(before);
});

test("what all runs share is refused once, and a run has no key of its own", async () => {
  const shared = inputOf({ grid: { seed: [1, 2, 3] } }, { run: { name: "x", baseModel: "none", dataset } });
  const told = await server.ask<{ estimateSweep: { errors: unknown[] } }>(estimate, { input: shared });
  expect(told.estimateSweep).toMatchObject({
    runs: 3,
    errors: [{ code: "NOT_FOUND", issues: [{ field: "input.run.baseModel" }] }],
  });
  const keyed = inputOf(
    { grid: { seed: [1] } },
    { run: { name: "x", baseModel: "bytes", dataset, idempotencyKey: "k" } },
  );
  const { errors } = await server.gql(create, { input: keyed });
  expect(errors?.[0]?.extensions.issues).toMatchObject([{ field: "input.run.idempotencyKey" }]);
});
