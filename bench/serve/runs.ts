/** Runs of a service that is measured: rows of random tokens, and checkpoints on the way. */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { randomTokens } from "../model.ts";
import { graphql } from "./client.ts";

/** Rows of random tokens, of which the last half is scored. */
export async function addRows(url: string, vocabulary: number, count: number, tokens: number): Promise<string> {
  const rows = Array.from({ length: count }, (_, row) => {
    const ids = randomTokens(vocabulary, tokens, 7_000_000 + row);
    return JSON.stringify({ input_ids: ids, labels: ids.map((id, at) => (at < tokens / 2 ? -100 : id)) });
  });
  return createDataset(url, rows.join("\n"));
}

/** The id of the dataset that has these rows. */
export async function createDataset(url: string, jsonl: string): Promise<string> {
  const made = await graphql(url, datasetMutation, { input: { name: "rows", jsonl } }, datasetSchema);
  return made.createDataset.id;
}

export interface RunSettings {
  readonly baseModel: string;
  readonly dataset: string;
  readonly method: "FULL" | "LORA";
  readonly steps: number;
  readonly batchSize: number;
  readonly checkpointEvery: number;
}

/** The id of the run that was created. */
export async function createRun(url: string, settings: RunSettings): Promise<string> {
  const { baseModel, dataset, ...shape } = settings;
  const hyperparameters = { ...shape, learningRate: 1e-6, estimator: "SPSA", noise: "RADEMACHER" };
  const input = { name: settings.method, baseModel, dataset, hyperparameters };
  const { createFineTune } = await graphql(url, runMutation, { input }, runSchema);
  return createFineTune.fineTune.id;
}

export interface MadeCheckpoint {
  readonly id: string;
  readonly entries: number;
}

/** The run's checkpoints, earliest first, once it has succeeded. */
export async function checkpointsOf(url: string, id: string): Promise<MadeCheckpoint[]> {
  const made: MadeCheckpoint[] = [];
  for (let after: string | null = null; ;) {
    const { node }: z.output<typeof checkpointsSchema> = await graphql(
      url,
      checkpointsQuery,
      { id, after },
      checkpointsSchema,
    );
    if (node.status === "SUCCEEDED") {
      made.push(...node.checkpoints.nodes);
      after = node.checkpoints.pageInfo.endCursor;
      if (!node.checkpoints.pageInfo.hasNextPage) return made.toReversed();
      continue;
    }
    if (node.status === "FAILED") throw new SteplogError("INTERNAL", `The run failed: ${JSON.stringify(node.error)}`);
    await delay(500);
  }
}

/** When each step after a given one was stored, in milliseconds since 1970. */
export async function stepsAfter(url: string, id: string, afterStep: number): Promise<number[]> {
  const { node } = await graphql(url, stepsQuery, { id, afterStep }, stepsSchema);
  const some = node.metrics.map(({ at }) => Date.parse(at));
  return some.length < stepsAtOnce ? some : [...some, ...(await stepsAfter(url, id, afterStep + some.length))];
}

export async function cancelRun(url: string, id: string): Promise<void> {
  await graphql(url, "mutation ($id: ID!) { cancelFineTune(id: $id) { id } }", { id }, z.unknown());
}

/** As many as the service gives in one answer. */
const stepsAtOnce = 2000;

const datasetMutation = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
const runMutation = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
const checkpointsQuery = `query ($id: ID!, $after: String) { node(id: $id) { ... on FineTune { status error { code message }
  checkpoints(first: 100, after: $after) { nodes { id entries } pageInfo { endCursor hasNextPage } } } } }`;
const stepsQuery = `query ($id: ID!, $afterStep: Int!) { node(id: $id) { ... on FineTune {
  metrics(afterStep: $afterStep, first: ${stepsAtOnce}) { at } } } }`;
const datasetSchema = z.object({ createDataset: z.object({ id: z.string() }) });
const runSchema = z.object({ createFineTune: z.object({ fineTune: z.object({ id: z.string() }) }) });
const checkpointsSchema = z.object({
  node: z.object({
    status: z.string(),
    error: z.unknown(),
    checkpoints: z.object({
      nodes: z.array(z.object({ id: z.string(), entries: z.int() })),
      pageInfo: z.object({ endCursor: z.string().nullable(), hasNextPage: z.boolean() }),
    }),
  }),
});
const stepsSchema = z.object({ node: z.object({ metrics: z.array(z.object({ at: z.string() })) }) });
