/** estimateFineTune: what a run would take and what would be refused, without creating anything. */
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RunSeconds } from "../../schema/estimate.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { Capabilities } from "../../schema/jobs.ts";
import { jobKinds } from "../../schema/jobs.ts";
import { claimAny, everything } from "../support/claims.ts";
import type { GraphQLIssue, TestServer } from "./harness.ts";
import { createDataset, createFineTuneMutation, globalId, modelRow, testServer } from "./harness.ts";

const query = `
  query ($input: CreateFineTuneInput!, $wait: Int) {
    estimateFineTune(input: $input, waitSeconds: $wait) {
      errors { code message argument issues { line field message } }
      notes uncounted memoryBytes storedWeightsBytes
      counts {
        training { rows tokens scored longest } validation { rows }
        steps { passes tokens } probes { passes } evaluations { kind times passes tokens }
        logEntries logBytes checkpoints weightsBytes exact why
      }
      workers { worker { name memoryBytes } lacks unmeasured seconds { total start steps evaluations } }
    }
  }`;

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly argument: string | null;
  readonly issues: readonly GraphQLIssue[];
}

interface Work {
  readonly tokens: number;
}

interface Estimate {
  readonly errors: readonly Refusal[];
  readonly notes: readonly string[];
  readonly uncounted: string | null;
  readonly memoryBytes: number | null;
  readonly storedWeightsBytes: number | null;
  readonly counts: {
    readonly weightsBytes: number;
    readonly steps: Work;
    readonly evaluations: readonly Work[];
  } | null;
  readonly workers: readonly {
    readonly worker: { readonly name: string };
    readonly lacks: readonly string[];
    readonly unmeasured: string | null;
    readonly seconds: RunSeconds | null;
  }[];
}

let server: TestServer;
let folder: string;
let dataset: string;
/** Of the demo's model, which the gateway can read whole. */
let usual: { name: string; baseModel: string; dataset: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "steplog-estimate-"));
  await mkdir(join(folder, "models"));
  await cp("demo/base", join(folder, "models", "demo"), { recursive: true });
  server = await testServer({ modelsDir: join(folder, "models") });
  const size = { family: "opt", dtype: "F32", parameters: 330_000, bytes: 1_320_000, contextLength: 64 };
  await server.store.baseModels.register({ ...modelRow("demo"), ...size });
  const lines = (await readFile("demo/train.jsonl", "utf8")).split("\n").slice(0, 5);
  dataset = await createDataset(server, "five", lines.join("\n"));
  usual = { name: "run", baseModel: "demo", dataset };
});

afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true, force: true });
});

const estimate = async (input: object, wait = 0): Promise<Estimate> =>
  (await server.ask<{ estimateFineTune: Estimate }>(query, { input, wait })).estimateFineTune;

const demo = { name: "demo", hash: modelRow("demo").hash };

async function report(name: string, can: Partial<Capabilities> = {}): Promise<void> {
  const id = `00000000-0000-4000-8000-${name.replaceAll(/\D/gu, "").padStart(12, "0")}`;
  const usually = { kinds: jobKinds, families: ["opt"], precisions: ["FLOAT32" as const], memoryBytes: 1e9 };
  await server.store.workers.report({ id, name, version: "1", device: "plain", ...usually, models: [demo], ...can });
}

test("counts, memory and workers come without a run, a job or anything else that stays", async () => {
  await report("able-1");
  await report("poor-2", { memoryBytes: 1e6, models: [] });
  const settings = {
    steps: 10,
    batchSize: 5,
    weightDecay: 0.1,
    evaluateEvery: 4,
    learningRate: 1e-4,
    checkpointEvery: 3,
  };
  const seen = await estimate({ ...usual, validationDataset: dataset, hyperparameters: settings, keepWeights: true });
  expect(seen).toMatchObject({
    errors: [],
    uncounted: null,
    memoryBytes: 1_320_000,
    counts: {
      training: { rows: 5, scored: 5 },
      validation: { rows: 5 },
      steps: { passes: 20 },
      probes: { passes: 0 },
      evaluations: [{ kind: "VALIDATION", times: 4, passes: 4 }],
      logEntries: 10,
      logBytes: 60,
      checkpoints: 4,
      exact: true,
      why: null,
    },
    workers: [
      { worker: { name: "able-1" }, lacks: [], unmeasured: expect.stringContaining("was not asked") as string },
      { worker: { name: "poor-2" }, lacks: ["the base model demo", "1.3 MB of memory"], unmeasured: null },
    ],
  });
  expect(seen.storedWeightsBytes).toBe(seen.counts?.weightsBytes);
  expect(await claimAny(server.store)).toBeNull();
  expect(await server.store.fineTunes.list({ limit: 10 })).toStrictEqual([]);
});

const wrong: (readonly [string, object])[] = [
  ["an unknown model", { baseModel: "none" }],
  ["no model", { baseModel: null }],
  ["an unknown dataset", { dataset: globalId("Dataset", "00000000-0000-4000-8000-000000000000") }],
  ["no dataset", { dataset: null }],
  ["an unknown checkpoint", { from: globalId("Checkpoint", "00000000-0000-4000-8000-000000000000") }],
  ["settings out of range", { hyperparameters: { steps: 0, batchSize: 5_000 } }],
  ["settings that do not go together", { hyperparameters: { estimator: "FZOO", estimates: 1, patience: 2 } }],
  ["a prefix as long as the context", { hyperparameters: { method: "PREFIX", prefixLength: 64 } }],
  ["label words that are not the rows'", { labelWords: [" yes", " no"] }],
  ["an objective without candidates", { hyperparameters: { objective: "CLASSIFICATION" } }],
];

test.each(wrong)("what create refuses is refused here, in the same words: %s", async (_, change) => {
  const input = { ...usual, ...change };
  const created = (await server.gql(createFineTuneMutation, { input })).errors?.[0];
  const [first] = (await estimate(input)).errors;
  expect(created).toBeDefined();
  expect({ code: first?.code, message: first?.message }).toStrictEqual({
    code: created?.extensions.code,
    message: created?.message,
  });
  const withNulls = created?.extensions.issues.map((issue) => ({ line: null, field: null, ...issue }));
  expect(first?.issues).toStrictEqual(withNulls);
});

test("all that is wrong comes at once, with the argument that wrong rows belong to", async () => {
  const long = await createDataset(
    server,
    "long",
    JSON.stringify({ prompt: "very ".repeat(200), completion: " good" }),
  );
  const settings = { steps: 0 };
  const many = { ...usual, baseModel: "none", dataset: null, validationDataset: long, hyperparameters: settings };
  expect((await estimate(many)).errors.map(({ code, issues }) => [code, issues[0]?.field])).toStrictEqual([
    ["INVALID_ARGUMENT", "input.hyperparameters.steps"],
    ["NOT_FOUND", "input.baseModel"],
    ["INVALID_ARGUMENT", "input.dataset"],
  ]);
  const { errors, counts } = await estimate({
    ...usual,
    dataset: long,
    testDataset: long,
    hyperparameters: { evaluateEvery: 1, patience: 1 },
  });
  expect(errors.map(({ code, argument }) => [code, argument])).toStrictEqual([
    ["INVALID_ARGUMENT", null],
    ["DATASET_INVALID", "input.dataset"],
    ["DATASET_INVALID", "input.testDataset"],
  ]);
  expect(counts).toBeNull();
});

test("what there is to say of the rows is said before there is a run", async () => {
  const long = JSON.stringify({ prompt: "very ".repeat(200), completion: " good" });
  const rows = await createDataset(
    server,
    "cut",
    [long, long, JSON.stringify({ prompt: "It was", completion: " good" })].join("\n"),
  );
  const { errors, notes } = await estimate({
    ...usual,
    dataset: rows,
    hyperparameters: { steps: 1, truncate: "START" },
  });
  expect(errors).toEqual([]);
  expect(notes).toEqual([
    expect.stringMatching(/^Training rows: 2 rows are longer than the context and are cut at the start of the prompt/u),
    expect.stringMatching(/^Training rows: 1 row repeats an earlier one/u),
  ]);
});

test("a key that another run has is a conflict", async () => {
  const other = { name: "run", baseModel: "bytes", dataset: await createDataset(server), idempotencyKey: "used" };
  const model = await server.store.baseModels.getByName("bytes");
  const { fineTune } = await server.store.fineTunes.create({
    ...other,
    baseModelId: model?.id ?? "",
    datasetId: Buffer.from(dataset, "base64").toString().split(":")[1] ?? "",
    validationDatasetId: null,
    testDatasetId: null,
    labelWords: [],
    hyperparameters: hyperparametersSchema.parse({}),
  });
  const { errors } = await estimate({ ...usual, idempotencyKey: "used" });
  await server.store.fineTunes.cancel(fineTune.id);
  expect(errors).toMatchObject([{ code: "CONFLICT", argument: "input.idempotencyKey" }]);
});

test("what only the engine finds is refused too, and a model that is not here is not", async () => {
  const probe = await estimate({ ...usual, validationDataset: dataset, hyperparameters: { linearProbe: true } });
  expect(probe.errors).toMatchObject([
    { code: "INVALID_ARGUMENT", issues: [{ field: "input.hyperparameters.linearProbe" }] },
  ]);
  const tokens = JSON.stringify({ input_ids: [1, 2, 3], labels: [-100, 2, 3] });
  const missing = await estimate({ ...usual, baseModel: "bytes", dataset: await createDataset(server, "t", tokens) });
  expect(missing).toMatchObject({ errors: [], counts: null, uncounted: expect.stringContaining("bytes") as string });
  expect(missing.memoryBytes).toBe(20_000_000_000);
});

const byName = ({ workers }: Estimate, name: string) => workers.find(({ worker }) => worker.name === name);

test("idle workers measure, once for all runs that are as fast; then seconds follow from the counts", async () => {
  for (const { id } of await server.store.workers.list()) await server.store.workers.remove(id);
  await report("host-7");
  await report("old-8", { kinds: ["FINE_TUNE", "MATERIALISE"] });
  const input = { ...usual, validationDataset: dataset, hyperparameters: { steps: 10, learningRate: 1e-4 } };
  const asked = estimate(input, 20);
  const job = await vi.waitFor(async () => {
    const capabilities = await everything(server.store);
    const claimed = await server.store.claimJob({ worker: "host-7", leaseMs: 60_000, capabilities });
    if (!claimed) throw new Error("nothing was asked");
    return claimed;
  }, 10_000);
  const speeds = { start: 3, stepToken: 0.001, evaluationToken: { VALIDATION: 0.01 }, checkpoint: 0.5 };
  await server.store.speeds.finish(job, speeds);
  const seen = await asked;
  const steps = (seen.counts?.steps.tokens ?? NaN) / 1000;
  const evaluations = (seen.counts?.evaluations[0]?.tokens ?? NaN) / 100;
  expect(byName(seen, "host-7")).toMatchObject({ unmeasured: null, seconds: { start: 3, steps, evaluations } });
  expect(byName(seen, "host-7")?.seconds?.total).toBeCloseTo(3.5 + steps + evaluations, 9);
  expect(byName(seen, "old-8")).toMatchObject({ seconds: null, unmeasured: "Its release does not measure." });
  expect(await claimAny(server.store)).toBeNull();

  const longer = await estimate({
    ...input,
    hyperparameters: { steps: 1000, learningRate: "AUTO", estimator: "SPSA", evaluateEvery: 2 },
  });
  expect(byName(longer, "host-7")?.seconds?.evaluations).toBeGreaterThan(100 * evaluations);
  const other = await estimate({ ...input, hyperparameters: { batchSize: 3 } });
  expect(byName(other, "host-7")).toMatchObject({ seconds: null });
});

test("a worker that does not answer in time is not asked any longer; one that has a run never is", async () => {
  const settings = { batchSize: 2 };
  await report("host-7");
  const late = await estimate({ ...usual, hyperparameters: settings }, 1);
  expect(byName(late, "host-7")?.unmeasured).toContain("could not measure");
  expect(await claimAny(server.store)).toBeNull();
  await server.ask(createFineTuneMutation, { input: { ...usual, name: "busy" } });
  await report("host-7");
  expect(await claimAny(server.store, "host-7")).not.toBeNull();
  const busy = await estimate({ ...usual, hyperparameters: settings }, 20);
  expect(byName(busy, "host-7")?.unmeasured).toContain("It has other work");
});
