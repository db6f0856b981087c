/** Forks and continuations in the API. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CreatedFineTune, TestServer } from "./harness.ts";
import { createDataset, createFineTune, createFineTuneMutation, FakeWorker, globalId, testServer } from "./harness.ts";
import { claimAny } from "../support/claims.ts";

let server: TestServer;

beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const continueMutation = `mutation ($input: ContinueFineTuneInput!) {
  continueFineTune(input: $input) { created fineTune { id name } }
}`;
const fields = `query ($id: ID!) { fineTune(id: $id) {
  baseModel { name } dataset { id } labelWords from { step entries fineTune { id } }
  hyperparameters { steps learningRate seed weightDecay } progress { step }
} }`;

/** A run of ten steps that has ended, with a checkpoint after the last one. */
async function ended(settings: object = {}, pickedRate: number | null = null) {
  const id = await createFineTune(server, { steps: 10, learningRate: 1e-4, seed: 5, ...settings });
  const worker = await FakeWorker.claim(server.store, pickedRate);
  await worker.train(10);
  const checkpoint = globalId("Checkpoint", (await worker.checkpoint()).id);
  await worker.succeed();
  return { id, checkpoint };
}

async function claimed() {
  const job = await claimAny(server.store, "test", 60_000);
  if (!job) throw new Error("a run waits for a worker");
  return job;
}

test("a fork has its own settings and inherits the others", async () => {
  const { id, checkpoint } = await ended();
  const dataset = await createDataset(server, "other rows");
  const input = { name: "fork", from: checkpoint, dataset, hyperparameters: { steps: 7, weightDecay: 0.5 } };
  const { createFineTune: created } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  const { fineTune } = await server.ask<{ fineTune: object }>(fields, { id: created.fineTune.id });
  expect(fineTune).toEqual({
    baseModel: { name: "bytes" },
    dataset: { id: dataset },
    labelWords: [],
    from: { step: 10, entries: 10, fineTune: { id } },
    hyperparameters: { steps: 7, learningRate: 1e-4, seed: 5, weightDecay: 0.5 },
    progress: { step: 0 },
  });
  const job = await claimed();
  expect(await server.store.fineTunes.get(job.subject)).toMatchObject({ entries: 10, firstEntry: 10, firstStep: 0 });
  await server.store.finishFineTune(job, { status: "CANCELLED" });
});

test("a fork inherits what it does not use, but cannot ask for it", async () => {
  const validationDataset = await createDataset(server, "validation rows");
  const id = await createFineTune(server, { evaluateEvery: 2 }, "evaluated", { validationDataset });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(1);
  const from = globalId("Checkpoint", (await worker.checkpoint()).id);
  await worker.succeed();
  const fork = { name: "fork", from, validationDataset: null };
  const { createFineTune: made } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input: fork });
  expect(made.fineTune.id).not.toBe(id);
  await server.store.finishFineTune(await claimed(), { status: "CANCELLED" });
  const hyperparameters = { evaluateEvery: 3 };
  const { errors } = await server.gql(createFineTuneMutation, { input: { ...fork, hyperparameters } });
  expect(errors?.[0]?.extensions.issues).toMatchObject([{ field: "input.hyperparameters.evaluateEvery" }]);
});

test("a continuation of a run that was stopped in its warm-up starts it anew", async () => {
  // Its last checkpoint is that of step 10.
  const { id } = await ended({ warmupSteps: 20, steps: 40 });
  await server.ask(continueMutation, { input: { fineTune: id, steps: 30 } });
  const job = await claimed();
  const run = await server.store.fineTunes.get(job.subject);
  expect(run?.hyperparameters).toMatchObject({ warmupSteps: 20, steps: 30 });
  await server.store.finishFineTune(job, { status: "CANCELLED" });
});

test("a fork cannot change what is trained", async () => {
  const { checkpoint } = await ended();
  const hyperparameters = { method: "LORA", noise: "NORMAL", loraRank: 4 };
  const { errors } = await server.gql(createFineTuneMutation, {
    input: { name: "fork", from: checkpoint, hyperparameters },
  });
  expect(errors?.[0]?.extensions).toMatchObject({
    code: "INVALID_ARGUMENT",
    issues: ["method", "loraRank", "noise"].map((name) => ({ field: `input.hyperparameters.${name}` })),
  });
});

test("without a checkpoint, a run needs a base model and a dataset", async () => {
  const missing = async (input: object) =>
    (await server.gql(createFineTuneMutation, { input: { name: "none", ...input } })).errors?.[0]?.extensions;
  expect(await missing({})).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field: "input.baseModel" }] });
  expect(await missing({ baseModel: "bytes" })).toMatchObject({ issues: [{ field: "input.dataset" }] });
});

test("a continuation continues with the next rows; a run that has not ended cannot be continued", async () => {
  const { id } = await ended();
  const input = { fineTune: id, steps: 4, idempotencyKey: "more" };
  type Answer = { continueFineTune: { created: boolean; fineTune: { id: string; name: string } } };
  const { continueFineTune: more } = await server.ask<Answer>(continueMutation, { input });
  expect(more).toMatchObject({ created: true, fineTune: { name: "run" } });
  expect((await server.ask<Answer>(continueMutation, { input })).continueFineTune.created).toBe(false);
  const early = await server.gql(continueMutation, { input: { fineTune: more.fineTune.id, steps: 4 } });
  expect(early.errors?.[0]).toMatchObject({ extensions: { code: "INVALID_STATE" }, message: /is QUEUED/u });

  const job = await claimed();
  expect(await server.store.fineTunes.get(job.subject)).toMatchObject({
    firstEntry: 10,
    firstStep: 10,
    hyperparameters: { steps: 4 },
  });
  await server.store.finishFineTune(job, { status: "CANCELLED" });
  const bare = await server.gql(continueMutation, { input: { fineTune: more.fineTune.id, steps: 4 } });
  expect(bare.errors?.[0]).toMatchObject({ extensions: { code: "INVALID_STATE" }, message: /has no checkpoint/u });
});

test.each([
  ["CONSTANT", 3e-5],
  ["LINEAR", "AUTO"],
])("with a schedule that is %s, a continuation has the learning rate %s", async (schedule, learningRate) => {
  const { id } = await ended({ learningRate: "AUTO", estimator: "SPSA", schedule }, 3e-5);
  await server.ask(continueMutation, { input: { fineTune: id, steps: 4 } });
  const job = await claimed();
  expect(await server.store.fineTunes.get(job.subject)).toMatchObject({ hyperparameters: { schedule, learningRate } });
  await server.store.finishFineTune(job, { status: "CANCELLED" });
});
