/** Every operation of the API, end to end over HTTP. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  createDataset,
  createFineTune,
  createFineTuneMutation,
  FakeWorker,
  globalId,
  modelRow,
  rowId,
  testServer,
  type CreatedFineTune,
  type TestServer,
} from "./harness.ts";

const packageJson = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const unknownId = "00000000-0000-4000-8000-000000000000";

describe("reading", () => {
  test("service returns version and limits", async () => {
    const { service } = await server.ask<{ service: object }>(
      "{ service { version stepLogVersion datasetBytes pageSize } }",
    );
    expect(service).toEqual({
      version: packageJson.version,
      stepLogVersion: 1,
      datasetBytes: 268_435_456,
      pageSize: 100,
    });
  });

  test("numbers of base models may exceed 2^31", async () => {
    const { baseModels } = await server.ask<{ baseModels: { nodes: object[] } }>(
      "{ baseModels { nodes { id name hash family dtype parameters bytes contextLength createdAt } } }",
    );
    const { createdAt, id: _id, ...row } = server.model;
    const id = globalId("BaseModel", server.model.id);
    expect(baseModels.nodes).toEqual([{ ...row, id, createdAt: createdAt.toISOString() }]);
  });

  test("node and nodes return objects by id, in order, and null for missing ones", async () => {
    const dataset = await createDataset(server, "by id");
    const ids = [globalId("FineTune", unknownId), dataset, globalId("BaseModel", server.model.id)];
    const data = await server.ask<object>(
      `query ($id: ID!, $ids: [ID!]!) {
        node(id: $id) { id ... on Dataset { name } }
        nodes(ids: $ids) { __typename id }
      }`,
      { id: dataset, ids },
    );
    expect(data).toEqual({
      node: { id: dataset, name: "by id" },
      nodes: [null, { __typename: "Dataset", id: ids[1] }, { __typename: "BaseModel", id: ids[2] }],
    });
  });

  test("valid ids with unknown or malformed row ids return null", async () => {
    const data = await server.ask<object>(
      "query ($a: ID!, $b: ID!) { a: fineTune(id: $a) { id } b: checkpoint(id: $b) { id } }",
      {
        a: globalId("FineTune", unknownId),
        b: globalId("Checkpoint", "no-uuid"),
      },
    );
    expect(data).toEqual({ a: null, b: null });
  });

  test("paging forwards and backwards returns every row once", async () => {
    const created: string[] = [];
    for (let index = 0; index < 7; index += 1) created.unshift(await createDataset(server, `page ${index}`));
    interface Page {
      datasets: {
        edges: { cursor: string; node: { id: string } }[];
        nodes: { id: string }[];
        pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
      };
    }
    const query = `query ($first: Int, $last: Int, $after: String, $before: String) {
      datasets(first: $first, last: $last, after: $after, before: $before) {
        edges { cursor node { id } } nodes { id }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }`;
    const first = (await server.ask<Page>(query, { first: 3 })).datasets;
    expect(first.nodes.map((node) => node.id)).toEqual(created.slice(0, 3));
    expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
    const second = (await server.ask<Page>(query, { first: 3, after: first.pageInfo.endCursor })).datasets;
    expect(second.nodes.map((node) => node.id)).toEqual(created.slice(3, 6));
    const back = (await server.ask<Page>(query, { last: 2, before: second.pageInfo.startCursor })).datasets;
    expect(back.nodes.map((node) => node.id)).toEqual(created.slice(1, 3));
    expect(back.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    const all = (await server.ask<Page>(query, { first: 100 })).datasets;
    expect(all.pageInfo.hasNextPage).toBe(false);
  });
});

describe("fine-tunes", () => {
  test("createFineTune queues a run with defaults filled in", async () => {
    const dataset = await createDataset(server, "train");
    const validation = await createDataset(server, "validate");
    const input = {
      idempotencyKey: "first",
      name: "  my run ",
      baseModel: "bytes",
      dataset,
      validationDataset: validation,
      labelWords: [" good", " bad"],
      keepWeights: true,
      hyperparameters: { steps: 10, seed: 4_294_967_295, learningRate: 1e-4 },
    };
    const { createFineTune: created } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    expect(created).toMatchObject({ created: true, fineTune: { name: "my run", status: "QUEUED" } });
    const { fineTune } = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        baseModel { name } dataset { id } validationDataset { id } labelWords cancelRequested keepWeights
        hyperparameters { steps batchSize learningRate schedule warmupSteps clipGradient tensors epsilon weightDecay noise seed evaluateEvery patience checkpointEvery }
        progress { step steps fraction stepsPerSecond etaSeconds skippedSteps }
        loss error { code } device startedAt finishedAt events { sequence type }
        metrics { step } chart { step } evaluations { step } checkpoints { nodes { id } }
      } }`,
      { id: created.fineTune.id },
    );
    expect(fineTune).toEqual({
      baseModel: { name: "bytes" },
      dataset: { id: dataset },
      validationDataset: { id: validation },
      labelWords: [" good", " bad"],
      cancelRequested: false,
      keepWeights: true,
      hyperparameters: {
        steps: 10,
        batchSize: 16,
        learningRate: 1e-4,
        schedule: "CONSTANT",
        warmupSteps: 0,
        clipGradient: 0,
        tensors: [],
        epsilon: 1e-3,
        weightDecay: 0,
        noise: "RADEMACHER",
        seed: 4_294_967_295,
        evaluateEvery: 0,
        patience: 0,
        checkpointEvery: 0,
      },
      progress: { step: 0, steps: 10, fraction: 0, stepsPerSecond: null, etaSeconds: null, skippedSteps: 0 },
      loss: null,
      error: null,
      device: null,
      startedAt: null,
      finishedAt: null,
      events: ["QUEUED", "LABEL_WORDS", "ONE_CLASS", "ONE_CLASS", "ROWS_SHARED"].map((type, i) => ({
        sequence: i + 1,
        type,
      })),
      metrics: [],
      chart: [],
      evaluations: [],
      checkpoints: { nodes: [] },
    });
    await server.store.fineTunes.cancel(rowId(created.fineTune.id));
  });

  test("a run gets the defaults of its method", async () => {
    const fields = "method loraRank loraAlpha loraTargets prefixLength learningRate epsilon";
    const settingsOf = async (hyperparameters: object) => {
      const id = await createFineTune(server, hyperparameters);
      const { fineTune } = await server.ask<{ fineTune: { hyperparameters: object } }>(
        `query ($id: ID!) { fineTune(id: $id) { hyperparameters { ${fields} } } }`,
        { id },
      );
      await server.store.fineTunes.cancel(rowId(id));
      return fineTune.hyperparameters;
    };
    const defaults = {
      method: "LORA",
      loraRank: 8,
      loraAlpha: 16,
      loraTargets: [],
      prefixLength: 5,
      learningRate: "AUTO",
      epsilon: 1e-2,
    };
    expect(await settingsOf({ method: "LORA" })).toEqual(defaults);
    const given = { loraRank: 2, loraAlpha: 3.5, loraTargets: ["fc1"], learningRate: 1e-3 };
    expect(await settingsOf({ method: "LORA", ...given })).toEqual({ ...defaults, ...given });
    const prefix = { ...defaults, method: "PREFIX", epsilon: 1e-1 };
    expect(await settingsOf({ method: "PREFIX", prefixLength: 7 })).toEqual({ ...prefix, prefixLength: 7 });
    expect(await settingsOf({})).toEqual({ ...defaults, method: "FULL", epsilon: 1e-3 });
  });

  test("a prefix that leaves no room for the rows is refused", async () => {
    const dataset = await createDataset(server, "prefix");
    const refused = async (prefixLength: number) => {
      const hyperparameters = { method: "PREFIX", prefixLength };
      const input = { name: "prefix", baseModel: "bytes", dataset, hyperparameters };
      return (await server.gql(createFineTuneMutation, { input })).errors?.[0]?.extensions;
    };
    const field = "input.hyperparameters.prefixLength";
    expect(await refused(0)).toMatchObject({ code: "INVALID_ARGUMENT", issues: [{ field }] });
    expect(await refused(64)).toMatchObject({
      code: "INVALID_ARGUMENT",
      issues: [{ field, message: "leaves no room in the model's context of 64 tokens" }],
    });
    expect(await refused(63)).toMatchObject({
      code: "DATASET_INVALID",
      issues: expect.arrayContaining([
        expect.objectContaining({ line: 1, message: expect.stringContaining("of which a prefix takes 63") as unknown }),
      ]) as unknown,
    });
  });

  test("the same key and input return the first run; other input is a conflict", async () => {
    const dataset = await createDataset(server);
    const input = { idempotencyKey: "again", name: "once", baseModel: "bytes", dataset };
    const first = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    const second = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    expect(second.createFineTune).toEqual({ ...first.createFineTune, created: false });
    const other = await server.gql(createFineTuneMutation, { input: { ...input, name: "twice" } });
    expect(other.errors?.[0]?.extensions.code).toBe("CONFLICT");
    await server.store.fineTunes.cancel(rowId(first.createFineTune.fineTune.id));
  });

  test("the learning rate is a number or AUTO; settings that use evaluations need them", async () => {
    const dataset = await createDataset(server, "auto");
    const input = { name: "auto", baseModel: "bytes", dataset };
    const wrong = await server.gql(createFineTuneMutation, {
      input: { ...input, hyperparameters: { learningRate: 11, patience: 2, inContextRows: 1 } },
    });
    expect(wrong.errors?.[0]?.message).toContain("a number above 0 and up to 10, or AUTO; it is 11");
    const waiting = await server.gql(createFineTuneMutation, {
      input: { ...input, hyperparameters: { patience: 2, inContextRows: 1, bestMetric: "F1" } },
    });
    expect(waiting.errors?.[0]?.extensions["issues"]).toMatchObject([
      { field: "input.hyperparameters.bestMetric", message: "needs a validation dataset" },
      { field: "input.hyperparameters.answerTokens", message: "must be at least 1 with bestMetric F1; it is 0" },
      { field: "input.hyperparameters.patience", message: "needs a validation dataset" },
      { field: "input.hyperparameters.evaluateEvery", message: "must be at least 1 with patience; it is 0" },
      { field: "input.hyperparameters.inContextRows" },
    ]);
    const { errors } = await server.gql(createFineTuneMutation, {
      input: { ...input, hyperparameters: { learningRate: "FAST" } },
    });
    expect(errors?.[0]).toMatchObject({ extensions: { code: "INVALID_ARGUMENT" }, message: /AUTO/u });

    const right = { ...input, testDataset: dataset, hyperparameters: { learningRate: "AUTO" } };
    const { createFineTune: created } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input: right });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(3);
    for (const [kind, step, accuracy] of [
      ["VALIDATION", 0, 0.5],
      ["VALIDATION", 2, 0.9],
      ["IN_CONTEXT", 0, 0.7],
      ["VALIDATION", 3, 0.8],
      ["TEST", 2, 0.95],
    ] as const) {
      await server.store.recordEvaluation(worker.job, { kind, entries: step, step, rows: 3, loss: 2, accuracy });
    }
    await server.store.finishFineTune(worker.job, { status: "CANCELLED" });
    const { fineTune } = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        testDataset { id } hyperparameters { learningRate } pickedRate evaluations { step } bestEvaluation { kind step accuracy }
        tests: evaluations(kind: TEST) { step accuracy } all: evaluations(kind: null) { kind step }
      } }`,
      { id: created.fineTune.id },
    );
    expect(fineTune).toEqual({
      testDataset: { id: dataset },
      hyperparameters: { learningRate: "AUTO" },
      pickedRate: null,
      evaluations: [{ step: 0 }, { step: 2 }, { step: 3 }],
      bestEvaluation: { kind: "VALIDATION", step: 2, accuracy: 0.9 },
      tests: [{ step: 2, accuracy: 0.95 }],
      all: [
        { kind: "IN_CONTEXT", step: 0 },
        { kind: "VALIDATION", step: 0 },
        { kind: "TEST", step: 2 },
        { kind: "VALIDATION", step: 2 },
        { kind: "VALIDATION", step: 3 },
      ],
    });
  });

  test("a run that has diverged stays readable, and says so", async () => {
    const id = await createFineTune(server, { steps: 9, learningRate: "AUTO" });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(3);
    const measured = { rows: 3, f1: NaN, exactMatch: NaN };
    for (const [step, loss, accuracy] of [
      [0, NaN, 0.9],
      [1, 2.5, 0.5],
      [2, Infinity, NaN],
      [3, NaN, 1],
    ] as const) {
      await server.store.recordEvaluation(worker.job, { ...measured, entries: step, step, loss, accuracy });
    }
    await server.store.finishFineTune(worker.job, { status: "CANCELLED" });
    const { fineTune } = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        evaluations { loss diverged accuracy f1 exactMatch } bestEvaluation { step loss diverged }
      } }`,
      { id },
    );
    const none = { f1: null, exactMatch: null };
    expect(fineTune).toEqual({
      evaluations: [
        { loss: null, diverged: true, accuracy: 0.9, ...none },
        { loss: 2.5, diverged: false, accuracy: 0.5, ...none },
        { loss: null, diverged: true, accuracy: null, ...none },
        { loss: null, diverged: true, accuracy: 1, ...none },
      ],
      bestEvaluation: { step: 1, loss: 2.5, diverged: false },
    });
  });

  test("the best evaluation, its checkpoint and the others come of one read", async () => {
    const id = await createFineTune(server, { steps: 9 });
    const worker = await FakeWorker.claim(server.store);
    for (const loss of [2, 1, 3]) {
      await worker.train(1);
      const { step } = worker;
      await server.store.recordEvaluation(worker.job, { entries: step, step, rows: 3, loss, accuracy: null });
      await worker.checkpoint();
    }
    await server.store.finishFineTune(worker.job, { status: "CANCELLED" });
    const reads = vi.spyOn(server.store.fineTunes, "evaluations");
    const query = `query ($id: ID!) {
      fineTune(id: $id) { bestEvaluation { step loss } bestCheckpoint { step } evaluations { step } }
    }`;
    const expected = {
      bestEvaluation: { step: 2, loss: 1 },
      bestCheckpoint: { step: 2 },
      evaluations: [{ step: 1 }, { step: 2 }, { step: 3 }],
    };
    expect(await server.ask(query, { id })).toEqual({ fineTune: expected });
    expect(reads).toHaveBeenCalledTimes(1);
    await server.ask(query, { id });
    expect(reads).toHaveBeenCalledTimes(2);
    reads.mockRestore();
  });

  test("a run shows what its worker did", async () => {
    const id = await createFineTune(server, { steps: 200 });
    const worker = await FakeWorker.claim(server.store);
    await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 3, loss: 2, accuracy: null });
    await worker.train(120);
    const running = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        status loss device startedAt
        progress { step steps fraction stepsPerSecond etaSeconds }
        metrics(afterStep: 118, first: 1) { step loss projectedGradient learningRate skipped seconds }
        chart(points: 10) { step loss lossMin lossMax count seconds }
        evaluations { step rows loss accuracy }
      } }`,
      { id },
    );
    expect(running.fineTune).toMatchObject({
      status: "RUNNING",
      loss: 1 + 7 / 16,
      device: "plain: a test",
      progress: { step: 120, steps: 200, fraction: 0.6, stepsPerSecond: 4, etaSeconds: 20 },
      metrics: [
        { step: 119, loss: 1 + 6 / 16, projectedGradient: 6 / 16, learningRate: 1e-6, skipped: null, seconds: 0.25 },
      ],
      evaluations: [{ step: 0, rows: 3, loss: 2, accuracy: null }],
    });
    const { chart } = running.fineTune as { chart: { step: number; count: number; seconds: number }[] };
    expect(chart.length).toBeLessThanOrEqual(10);
    expect(chart.reduce((sum, point) => sum + point.count, 0)).toBe(120);
    expect(chart.at(-1)?.step).toBe(120);
    expect(chart.reduce((sum, point) => sum + point.seconds * point.count, 0)).toBe(30);

    const checkpoint = await worker.checkpoint();
    await worker.train(80);
    await worker.checkpoint();
    await worker.succeed();
    const done = await server.ask<{ fineTune: object }>(
      `query ($id: ID!) { fineTune(id: $id) {
        status finishedAt progress { etaSeconds fraction }
        checkpoints(first: 5) { nodes { id entries step chainHash weightsDigest weightsStatus weightsUrl weightsBytes weightsError } }
        events { type }
      } }`,
      { id },
    );
    expect(done.fineTune).toMatchObject({
      status: "SUCCEEDED",
      progress: { etaSeconds: null, fraction: 1 },
      checkpoints: {
        nodes: [
          { entries: 200, step: 200, chainHash: Buffer.from(worker.chain).toString("hex") },
          {
            id: globalId("Checkpoint", checkpoint.id),
            entries: 120,
            weightsDigest: "ab".repeat(32),
            weightsStatus: "NONE",
            weightsUrl: null,
            weightsBytes: null,
            weightsError: null,
          },
        ],
      },
    });
  });

  test("a failed run has an error", async () => {
    const id = await createFineTune(server);
    const worker = await FakeWorker.claim(server.store);
    const issues = [{ line: 2, field: "completion", message: "is strange" }];
    await server.store.finishFineTune(worker.job, {
      status: "FAILED",
      code: "DATASET_INVALID",
      message: "Bad.",
      issues,
    });
    const { fineTune } = await server.ask<{ fineTune: object }>(
      "query ($id: ID!) { fineTune(id: $id) { status error { code message issues { line field message } } } }",
      { id },
    );
    expect(fineTune).toEqual({ status: "FAILED", error: { code: "DATASET_INVALID", message: "Bad.", issues } });
  });

  test("fine-tunes can be listed by status", async () => {
    const query = "query ($status: FineTuneStatus) { fineTunes(status: $status) { nodes { status } } }";
    const { fineTunes } = await server.ask<{ fineTunes: { nodes: { status: string }[] } }>(query, {
      status: "SUCCEEDED",
    });
    expect(fineTunes.nodes).toEqual([{ status: "SUCCEEDED" }]);
  });

  const cancel = "mutation ($id: ID!) { cancelFineTune(id: $id) { status cancelRequested } }";

  test("a queued run is cancelled immediately; cancelling again changes nothing", async () => {
    const id = await createFineTune(server);
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await server.ask(cancel, { id })).toMatchObject({ cancelFineTune: { status: "CANCELLED" } });
    }
  });

  test("a running run is asked to stop; a run that succeeded cannot be cancelled", async () => {
    const id = await createFineTune(server);
    const worker = await FakeWorker.claim(server.store);
    expect(await server.ask(cancel, { id })).toEqual({ cancelFineTune: { status: "RUNNING", cancelRequested: true } });
    await worker.succeed();
    expect((await server.gql(cancel, { id })).errors?.[0]?.extensions.code).toBe("INVALID_STATE");
  });

  test("a run is labelled, found and archived", async () => {
    const id = await createFineTune(server);
    const update = `mutation ($id: ID!, $input: UpdateFineTuneInput!) {
      run: updateFineTune(id: $id, input: $input) { name tags metadata { key value } priority archivedAt }
    }`;
    const metadata = ["b", "a"].map((key) => ({ key, value: "1" }));
    const input = { name: " Found ", tags: ["t", "t"], metadata, priority: 7 };
    expect(await server.ask(update, { id, input })).toEqual({
      run: { name: "Found", tags: ["t"], metadata: metadata.toReversed(), priority: 7, archivedAt: null },
    });
    const find = `query ($filter: FineTuneFilter) { fineTunes(filter: $filter, first: 1) { totalCount nodes { id } } }`;
    const found = { fineTunes: { totalCount: 1, nodes: [{ id }] } };
    expect(await server.ask(find, { filter: { name: "found", tags: ["t"] } })).toEqual(found);
    for (const search of [" OUN ", "T", id, Buffer.from(id, "base64").toString().slice(9, 17)])
      expect(await server.ask(find, { filter: { search, tags: ["t"] } })).toEqual(found);
    const retagged = await server.ask(update, { id, input: { addTags: ["u"], removeTags: ["t"] } });
    expect(retagged).toMatchObject({ run: { tags: ["u"] } });
    await server.ask(update, { id, input: { tags: ["t"] } });
    const ends = await server.ask<Record<string, { nodes: object[] }>>(`{
      first: fineTunes(first: 1, sort: CREATED) { nodes { id } }
      last: fineTunes(last: 1, sort: CREATED, reverse: true) { nodes { id } }
    }`);
    expect(ends["last"]).toEqual(ends["first"]);
    expect(await server.ask(find, { filter: { metadata } })).toEqual(found);
    const otherValue = { metadata: [{ key: "b", value: "2" }] };
    expect(await server.ask(find, { filter: otherValue })).toMatchObject({ fineTunes: { totalCount: 0 } });
    await server.ask(update, { id, input: { archived: true } });
    expect(await server.ask(find, { filter: { tags: ["t"] } })).toMatchObject({ fineTunes: { totalCount: 0 } });
    expect(await server.ask(find, { filter: { tags: ["t"], archived: null } })).toEqual(found);
    const twice = { metadata: [...metadata, ...metadata] };
    for (const wrong of [{ priority: 101 }, twice, { tags: [""] }]) {
      expect((await server.gql(update, { id, input: wrong })).errors?.[0]?.extensions.code).toBe("INVALID_ARGUMENT");
    }
    await server.ask(cancel, { id });
  });

  test("a run pauses and is resumed, as often as it is asked; one that has ended does neither", async () => {
    const acts = ["pauseFineTune", "resumeFineTune"] as const;
    const [pause, resume] = acts.map((act) => `mutation ($id: ID!) { run: ${act}(id: $id) { status pauseRequested } }`);
    const id = await createFineTune(server);
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await server.ask(pause ?? "", { id })).toEqual({ run: { status: "PAUSED", pauseRequested: true } });
    }
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await server.ask(resume ?? "", { id })).toEqual({ run: { status: "QUEUED", pauseRequested: false } });
    }
    await server.ask(cancel, { id });
    for (const act of [pause, resume]) {
      expect((await server.gql(act ?? "", { id })).errors?.[0]?.extensions.code).toBe("INVALID_STATE");
    }
  });

  test("an unknown base model is NOT_FOUND, and the error lists the known ones", async () => {
    await server.store.baseModels.register(modelRow("second"));
    const input = { name: "x", baseModel: "gpt-9", dataset: await createDataset(server) };
    const { errors } = await server.gql(createFineTuneMutation, { input });
    expect(errors?.[0]?.message).toMatch(/no base model "gpt-9"\. Base models: second, bytes\./u);
    expect(errors?.[0]?.extensions).toMatchObject({ code: "NOT_FOUND", issues: [{ field: "input.baseModel" }] });
  });
});
