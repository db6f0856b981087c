/** Rows are checked once for a model and settings, and never on the event loop. */
import { performance } from "node:perf_hooks";
import { afterAll, expect, onTestFinished, test } from "vitest";
import type { Task } from "../../sandbox/messages.ts";
import type { Work } from "../../sandbox/sandbox.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import type { CreatedFineTune, GraphQLAnswer } from "./harness.ts";
import { createDataset, createFineTuneMutation, rows, testServer } from "./harness.ts";

/** Counts the checks of rows. */
class CountingSandbox extends Sandbox {
  checks = 0;

  override run<T extends Task>(work: Work<T>) {
    if (work.name === "checkRows") this.checks += 1;
    return super.run(work);
  }
}

/** Of all tests, since its processes take a second to start. */
const sandbox = new CountingSandbox();
afterAll(() => sandbox.close());

async function countingServer() {
  const server = await testServer({ sandbox });
  sandbox.checks = 0;
  onTestFinished(() => server.dispose());
  const create = (input: object): Promise<GraphQLAnswer<CreatedFineTune>> =>
    server.gql(createFineTuneMutation, { input: { name: "run", baseModel: "bytes", ...input } });
  /** How many checks a request makes. */
  const checksOf = async (input: object) => {
    const before = sandbox.checks;
    expect((await create(input)).errors).toBeUndefined();
    return sandbox.checks - before;
  };
  return { server, create, checksOf };
}

test("rows are checked once for each dataset, model and settings that matter", async () => {
  const { server, create, checksOf } = await countingServer();
  const dataset = await createDataset(server);
  expect(await checksOf({ dataset, idempotencyKey: "first" })).toBe(1);
  expect(await checksOf({ dataset, idempotencyKey: "first" })).toBe(0);
  expect(await checksOf({ dataset, name: "another" })).toBe(0);
  expect(await checksOf({ dataset, hyperparameters: { steps: 7 } })).toBe(0);
  expect(await checksOf({ dataset: await createDataset(server, "the same rows") })).toBe(0);
  expect(await checksOf({ dataset, labelWords: [" good", " bad"] })).toBe(1);
  expect(await checksOf({ dataset, labelWords: [" good", " bad"], validationDataset: dataset })).toBe(0);

  const wrong = await createDataset(server, "wrong", JSON.stringify({ prompt: "p", completion: " other" }));
  const answers = [];
  for (let i = 0; i < 2; i++) answers.push(await create({ dataset: wrong, labelWords: [" good", " bad"] }));
  expect(answers[0]?.errors?.[0]?.extensions).toMatchObject({ code: "DATASET_INVALID", issues: [{ line: 1 }] });
  expect(answers[1]).toStrictEqual(answers[0]);
  expect(sandbox.checks).toBe(3);
});

test("a run is told what its rows are like: by an event, also when they were checked before", async () => {
  const { server, create, checksOf } = await countingServer();
  const long = { prompt: "x".repeat(90), completion: " yes" };
  const lines = [long, { prompt: "a", completion: " no" }, long].map((row) => JSON.stringify(row)).join("\n");
  const input = {
    dataset: await createDataset(server, "long", lines),
    validationDataset: await createDataset(server, "same", JSON.stringify({ prompt: "a", completion: " no" })),
  };
  const refused = await create(input);
  expect(refused.errors?.[0]?.message).toMatch(/^2 rows do not fit the model\./u);
  const cutting = { ...input, hyperparameters: { truncate: "START" } };
  expect(await checksOf(cutting)).toBe(2);
  expect(await checksOf(cutting)).toBe(0);
  const query = "{ fineTunes(first: 2) { nodes { hyperparameters { truncate } events { sequence type message } } } }";
  const { fineTunes } = await server.ask<{ fineTunes: { nodes: { events: object[] }[] } }>(query);
  expect(fineTunes.nodes[0]).toMatchObject({
    hyperparameters: { truncate: "START" },
    events: [
      { sequence: 1, type: "QUEUED" },
      {
        type: "ROWS_CUT",
        message:
          "Training rows: 2 rows are longer than the context and are cut at the start of the prompt, by 60 tokens in all.",
      },
      { type: "ROWS_REPEATED", message: expect.stringContaining("line 3 is line 1") as string },
      {
        type: "ROWS_SHARED",
        message: expect.stringMatching(/^Validation rows: 1 row .* line 1 is training line 2/u) as string,
      },
    ],
  });
  expect(fineTunes.nodes[1]?.events).toStrictEqual(fineTunes.nodes[0]?.events);
});

test("rows of one class are refused where classes are learned, naming the dataset and the class", async () => {
  const { server, create } = await countingServer();
  const dataset = await createDataset(server);
  const input = { dataset, labelWords: [" good", " bad"] };
  for (const objective of ["CLASSIFICATION", "ACCURACY"]) {
    const { errors } = await create({ ...input, hyperparameters: { objective } });
    expect(errors?.[0]?.extensions).toMatchObject({
      code: "DATASET_INVALID",
      issues: [
        { field: "input.dataset", message: expect.stringContaining('right answer " good" in every row') as string },
      ],
    });
  }
  expect((await create(input)).errors).toBeUndefined();
});

test("another gateway knows the results", async () => {
  const { server, checksOf } = await countingServer();
  const dataset = await createDataset(server);
  expect(await checksOf({ dataset })).toBe(1);
  const unused = new CountingSandbox();
  const other = await server.another({ sandbox: unused });
  const body = JSON.stringify({
    query: createFineTuneMutation,
    variables: { input: { name: "run", baseModel: "bytes", dataset } },
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${other.url}/graphql`, { method: "POST", headers, body });
  expect(await response.json()).toMatchObject({ data: { createFineTune: { created: true } } });
  expect(unused.checks).toBe(0);
  await other.close();
});

test("the event loop is free while rows are read and checked", async () => {
  const { server, create } = await countingServer();
  const body = rows(30_000);
  await createDataset(server);
  const before = performance.eventLoopUtilization();
  const response = await fetch(`${server.url}/datasets?name=large`, { method: "POST", body });
  const { id } = (await response.json()) as { id: string };
  expect((await create({ dataset: id })).errors).toBeUndefined();
  // On the event loop, both would take all of it.
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
});
