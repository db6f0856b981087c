/** Rows are checked once for a model and settings, and never on the event loop. */
import { performance } from "node:perf_hooks";
import { expect, onTestFinished, test } from "vitest";
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

async function countingServer() {
  const sandbox = new CountingSandbox();
  const server = await testServer({ sandbox });
  onTestFinished(async () => {
    sandbox.close();
    await server.dispose();
  });
  const create = (input: object): Promise<GraphQLAnswer<CreatedFineTune>> =>
    server.gql(createFineTuneMutation, { input: { name: "run", baseModel: "bytes", ...input } });
  /** How many checks a request makes. */
  const checksOf = async (input: object) => {
    const before = sandbox.checks;
    expect((await create(input)).errors).toBeUndefined();
    return sandbox.checks - before;
  };
  return { server, sandbox, create, checksOf };
}

test("rows are checked once for each dataset, model and settings that matter", async () => {
  const { server, sandbox, create, checksOf } = await countingServer();
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

test("another gateway knows the results", async () => {
  const { server, checksOf } = await countingServer();
  const dataset = await createDataset(server);
  expect(await checksOf({ dataset })).toBe(1);
  const sandbox = new CountingSandbox();
  const other = await server.another({ sandbox });
  const body = JSON.stringify({
    query: createFineTuneMutation,
    variables: { input: { name: "run", baseModel: "bytes", dataset } },
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${other.url}/graphql`, { method: "POST", headers, body });
  expect(await response.json()).toMatchObject({ data: { createFineTune: { created: true } } });
  expect(sandbox.checks).toBe(0);
  await other.close();
});

test("the event loop is free while rows are read and checked", async () => {
  const { server, create } = await countingServer();
  const body = rows(60_000);
  await createDataset(server);
  const before = performance.eventLoopUtilization();
  const response = await fetch(`${server.url}/datasets?name=large`, { method: "POST", body });
  const { id } = (await response.json()) as { id: string };
  expect((await create({ dataset: id })).errors).toBeUndefined();
  // On the event loop, both would take all of it.
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
});
