/**
 * What a project lends to another, over HTTP and by the command line: the borrower trains from a checkpoint, evaluates it,
 * completes with it and downloads it, sees and changes nothing else of the owner's, and finds nothing any more once it is taken
 * back.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { operator } from "../../schema/projects.ts";
import { claimed } from "../store/fixtures.ts";
import { everything } from "../support/claims.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { FakeLane } from "./fake-lane.ts";
import { FakeWorker, createFineTune, globalId, rowId, type TestServer, testServer } from "./harness.ts";

let server: TestServer;
let lane: FakeLane;
/** Of the borrower. */
let key: string;
let project: string;
let checkpoint: string;
/** One that its owner deletes. */
let doomed: string;
const weights = Buffer.from("weights of a checkpoint");
const half = { merged: false, dtype: "float16" } as const;

beforeAll(async () => {
  server = await testServer();
  [checkpoint, doomed] = [await stored(), await stored()];
  lane = await FakeLane.start(server.store);
  const { administration } = server.store.of(operator);
  ({ id: project } = await administration.createProject("borrower"));
  const scopes = ["read", "write", "train", "infer"] as const;
  ({ key } = await administration.createKey({ name: "borrower", scopes, expiresInS: null, projectId: project }));
});
afterAll(async () => {
  await lane.stop();
  await server.dispose();
});

/** A checkpoint with its weights and an export, which end a day after their last use. */
async function stored(): Promise<string> {
  await createFineTune(server, { steps: 10 });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(10);
  const { id } = await worker.checkpoint();
  await worker.succeed();
  const { store } = server;
  const file = { name: "model.safetensors", ...(await store.blobs.put(Readable.from([weights]))) };
  await store.checkpoints.requestWeights(id, { keepSeconds: 86_400 });
  await store.finishMaterialise(await claimed(store), { weightsFiles: [file] });
  await store.exports.request(id, half, { keepSeconds: 86_400 });
  await store.finishExport(await claimed(store), { files: [file] });
  return globalId("Checkpoint", id);
}

interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[];
}

async function asking(query: string, variables: object, by = key): Promise<Answer> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${by}` };
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${server.url}/graphql`, { method: "POST", headers, body });
  return (await response.json()) as Answer;
}

const queries = {
  evaluate: `mutation ($id: ID!, $dataset: ID!) {
    createEvaluation(input: { model: { checkpoint: $id }, dataset: $dataset }) { evaluation { id } } }`,
  fork: `mutation ($id: ID!, $dataset: ID!) {
    createFineTune(input: { name: "fork", from: $id, dataset: $dataset }) { fineTune { id } } }`,
  complete: `mutation ($id: ID!) {
    createCompletion(input: { model: { checkpoint: $id }, prompt: "It was", maxTokens: 1 }) { completion { id } } }`,
  materialise: "mutation ($id: ID!) { materialiseCheckpoint(id: $id) { id } }",
  read: "query ($id: ID!) { checkpoint(id: $id) { id weightsUrl logUrl exports { files { url } } } }",
};

async function download(path: string) {
  const response = await fetch(new URL(path, server.url), { headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

const keeping = async () => {
  const id = rowId(checkpoint);
  const { weightsKeepSeconds, weightsExpiresAt } = (await server.store.checkpoints.get(id)) ?? expect.unreachable();
  const { keepSeconds, expiresAt } = (await server.store.exports.get(id, half)) ?? expect.unreachable();
  return { weightsKeepSeconds, weightsExpiresAt, keepSeconds, expiresAt };
};

const measured = { rows: 1, loss: 1.5, accuracy: null, f1: null, exactMatch: null };

/** Ends the evaluation that waits, once it does. */
async function evaluateNext(): Promise<void> {
  const { store } = server;
  const capabilities = { ...(await everything(store)), kinds: ["EVALUATE"] as const };
  const claim = () => store.claimJob({ worker: "evaluator", leaseMs: 60_000, capabilities });
  const job = await vi.waitUntil(claim, { interval: 20, timeout: 10_000 });
  await store.finishEvaluation(job, { status: "SUCCEEDED", measured });
}

async function ownDataset(): Promise<string> {
  const rows = '{"prompt": "It was", "completion": " good"}\n';
  const text = 'mutation ($rows: String!) { createDataset(input: { name: "own", jsonl: $rows }) { id } }';
  const created = (await asking(text, { rows })).data?.["createDataset"] as { id: string } | undefined;
  return created?.id ?? "";
}

test("a checkpoint that was lent serves its borrower, who changes nothing of it, until it is taken back", async () => {
  const { administration } = server.store.of(operator);
  await administration.share("CHECKPOINT", rowId(checkpoint), project);
  const variables = { id: checkpoint, dataset: await ownDataset() };

  expect(await asking(queries.fork, variables)).toMatchObject({ data: { createFineTune: {} } });
  expect(await asking(queries.complete, variables)).toMatchObject({ data: { createCompletion: {} } });
  const read = await asking(queries.read, variables);
  const { weightsUrl, logUrl, exports } = (read.data ?? expect.unreachable())["checkpoint"] as {
    weightsUrl: string;
    logUrl: string;
    exports: { files: { url: string }[] }[];
  };
  const urls = [weightsUrl, logUrl, ...exports.flatMap(({ files }) => files.map(({ url }) => url))];
  expect(urls).toHaveLength(3);
  const before = await keeping();
  for (const url of urls) expect((await download(url)).status).toBe(200);
  expect((await download(weightsUrl)).bytes).toEqual(weights);

  // What is stored is there for it; how long it stays, and what else is made, is the owner's to say.
  expect(await asking(queries.materialise, variables)).toMatchObject({
    data: { materialiseCheckpoint: { id: checkpoint } },
  });
  for (const args of ["keepSeconds: 1", "keepSeconds: 0, dtype: FLOAT16", "dtype: BFLOAT16"]) {
    const { errors } = await asking(
      `mutation ($id: ID!) { materialiseCheckpoint(id: $id, ${args}) { id } }`,
      variables,
    );
    expect(errors?.[0]?.extensions.code).toBe("INVALID_STATE");
    expect(errors?.[0]?.message).toContain("Rebuild them from its log with steplog reconstruct");
  }
  expect(await keeping()).toEqual(before);
  expect((await server.store.exports.list(rowId(checkpoint))).length).toBe(1);
  expect(before).toMatchObject({ weightsKeepSeconds: 86_400, keepSeconds: 86_400 });

  await administration.unshare("CHECKPOINT", rowId(checkpoint), project);
  for (const query of [queries.fork, queries.evaluate, queries.complete, queries.materialise]) {
    expect((await asking(query, variables)).errors?.[0]?.extensions.code).toBe("NOT_FOUND");
  }
  expect((await asking(queries.read, variables)).data).toEqual({ checkpoint: null });
  for (const url of urls) expect((await download(url)).status).toBe(404);
});

test("a checkpoint that was lent is evaluated for its borrower, who sees nothing else of its owner's", async () => {
  const { administration } = server.store.of(operator);
  const id = rowId(checkpoint);
  await administration.share("CHECKPOINT", id, project);
  const variables = { id: checkpoint, dataset: await ownDataset() };
  expect(await asking(queries.evaluate, variables)).toMatchObject({ data: { createEvaluation: {} } });
  await evaluateNext();

  const evaluations = "query ($id: ID!) { checkpoint(id: $id) { evaluations { totalCount nodes { loss } } } }";
  const one = { checkpoint: { evaluations: { totalCount: 1, nodes: [{ loss: 1.5 }] } } };
  expect((await asking(evaluations, variables)).data).toEqual(one);
  const { store } = server;
  const { fineTuneId } = (await store.checkpoints.get(id)) ?? expect.unreachable();
  const run = (await store.fineTunes.get(fineTuneId)) ?? expect.unreachable();
  expect(await store.of(operator).evaluations.countOfRun(run)).toBe(0);

  const theirs = { run: globalId("FineTune", run.id), rows: globalId("Dataset", run.datasetId), id: checkpoint };
  const nothing = `query ($id: ID!, $run: ID!, $rows: ID!) {
    fineTune(id: $run) { id } dataset(id: $rows) { id } nodes(ids: [$run, $rows]) { id }
    checkpoint(id: $id) { runEvaluations { loss } sharedWith { name } }
  }`;
  expect((await asking(nothing, theirs)).data).toEqual({
    fineTune: null,
    dataset: null,
    nodes: [null, null],
    checkpoint: { runEvaluations: [], sharedWith: [] },
  });
  const itsRun = await asking("query ($id: ID!) { checkpoint(id: $id) { fineTune { id name } } }", theirs);
  expect(itsRun.data?.["checkpoint"] ?? null).toBeNull();
  for (const path of [`/fine-tunes/${theirs.run}/log.steplog`, `/datasets/${theirs.rows}/rows.jsonl`])
    expect((await download(path)).status).toBe(404);
  const changes = [
    "deleteCheckpoint(id: $id)",
    "deleteWeights(id: $id) { id }",
    `shareCheckpoint(id: $id, project: "${globalId("Project", project)}") { id }`,
    "setExpiry(id: $id, expiry: { ttl: 60 }) { expiresAt }",
  ];
  for (const change of changes) {
    const { data, errors } = await asking(`mutation ($id: ID!) { did: ${change} }`, theirs);
    if (data) expect(data).toEqual({ did: false });
    else expect({ change, code: errors?.[0]?.extensions.code }).toEqual({ change, code: "NOT_FOUND" });
  }
  expect(await store.checkpoints.get(id)).toMatchObject({ weightsStatus: "STORED", expiresAt: null });
  await administration.unshare("CHECKPOINT", id, project);
  // What it measured for itself stays its own.
  const { data } = await asking("{ modelEvaluations { nodes { status loss } } }", {});
  expect(data).toEqual({ modelEvaluations: { nodes: [{ status: "SUCCEEDED", loss: 1.5 }] } });
});

test("a checkpoint that was lent, and its run, stay while they are needed, and take ended evaluations along", async () => {
  const id = doomed;
  const { store } = server;
  const { administration } = store.of(operator);
  await administration.share("CHECKPOINT", rowId(id), project);
  const { key: owner } = await administration.createKey({ name: "owner", scopes: ["read", "train"], expiresInS: null });
  const { fineTuneId } = (await store.checkpoints.get(rowId(id))) ?? expect.unreachable();
  const { data } = await asking(queries.evaluate, { id, dataset: await ownDataset() });
  const { evaluation } = (data ?? expect.unreachable())["createEvaluation"] as { evaluation: { id: string } };
  const removals = [
    () => asking("mutation ($id: ID!) { deleteCheckpoint(id: $id) }", { id }, owner),
    () => asking("mutation ($id: ID!) { deleteFineTune(id: $id) }", { id: globalId("FineTune", fineTuneId) }, owner),
  ];
  for (const refused of removals) {
    const { errors } = await refused();
    expect(errors?.[0]?.extensions.code).toBe("CONFLICT");
    expect(errors?.[0]?.message).toContain("Other projects still need it: 1 evaluation.");
  }
  await evaluateNext();
  const read = () => asking("query ($id: ID!) { modelEvaluation(id: $id) { status } }", evaluation);
  expect((await read()).data).toEqual({ modelEvaluation: { status: "SUCCEEDED" } });
  expect((await removals[0]?.())?.data).toEqual({ deleteCheckpoint: true });
  expect((await read()).data).toEqual({ modelEvaluation: null });
});

test("by the command line too: evaluated, asked and trained from while it is lent, and not after", async () => {
  const { administration } = server.store.of(operator);
  const id = rowId(checkpoint);
  const short = id.slice(0, 8);
  const rows = await ownDataset();
  const file = join(await scratch(), "run.json");
  await writeFile(file, JSON.stringify({ name: "by file", from: checkpoint, dataset: { id: rows } }));
  const steplog = (...args: string[]) =>
    steplogHere([...args, "--url", server.url, "--json"], { STEPLOG_API_TOKEN: key, DATABASE_URL: "" });
  const evaluate = () => steplog("evaluate", short, "--dataset", rows);
  const complete = () => steplog("complete", "--model", short, "--prompt", "It was", "--max-tokens", "1");
  const tune = () => steplog("tune", file);

  await administration.share("CHECKPOINT", id, project);
  const [evaluated] = await Promise.all([evaluate(), evaluateNext()]);
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ status: "SUCCEEDED", loss: 1.5 });
  expect(JSON.parse((await complete()).stdout)).toMatchObject({ status: "SUCCEEDED" });
  const tuning = tune();
  const { fineTunes } = server.store;
  const isBegun = async () => (await fineTunes.list({ projectId: project, name: "by file", limit: 1 }))[0];
  const run = await vi.waitUntil(isBegun, { interval: 20, timeout: 10_000 });
  expect(run.fromCheckpointId).toBe(id);
  await fineTunes.cancel(run.id);
  expect(JSON.parse((await tuning).stdout)).toMatchObject({ status: "CANCELLED" });
  // Its run is not lent.
  const { fineTuneId } = (await server.store.checkpoints.get(id)) ?? expect.unreachable();
  for (const command of ["fork", "show"]) expect((await steplog(command, fineTuneId.slice(0, 8))).code).toBe(3);

  await administration.unshare("CHECKPOINT", id, project);
  for (const after of [evaluate, complete, tune]) {
    const refused = await after();
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/NOT_FOUND|There is no/u);
  }
});
