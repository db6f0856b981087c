/** materialiseCheckpoint with `merged` and `dtype`: from the mutation by a worker's job to the files that a client saves. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { isCompanion } from "../../engine/model/files/companions.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import { claimed, sha256 } from "../store/fixtures.ts";
import { claimAny } from "../support/claims.ts";
import { golden, scratch } from "../support/models.ts";
import type { TrainedRun } from "../support/trained.ts";
import { rebuildNext, trainedRun } from "../support/trained.ts";
import { globalId, testServer, type TestServer } from "./harness.ts";

const device = createPlainDevice();
let server: TestServer;
let folder: string;
let lora: TrainedRun;
let full: TrainedRun;
beforeAll(async () => {
  server = await testServer();
  folder = await mkdtemp(join(tmpdir(), "steplog-exports-"));
  lora = await trainedRun(server.store, {
    folder,
    model: golden("hf/llama-sharded-bf16"),
    name: "halved",
    method: "LORA",
  });
  full = await trainedRun(server.store, { folder, model: golden("hf/opt"), name: "opt", method: "FULL" });
});
afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true, force: true });
});

const idOf = ({ checkpoint }: TrainedRun) => globalId("Checkpoint", checkpoint.id);

const work = (run: TrainedRun) => rebuildNext(server.store, run);

/** SHA-256 of the files by name, without what a service leaves out: only the base's own readers and licences travel. */
async function filesIn(folder: string): Promise<Record<string, string>> {
  const isSent = (name: string) => isCompanion(name) || /\.safetensors$|^adapter_config\.json$/u.test(name);
  const names = (await readdir(folder)).filter(isSent).toSorted();
  const hashes: Record<string, string> = {};
  for (const name of names) hashes[name] = sha256((await readFile(join(folder, name))).toString("latin1"));
  return hashes;
}

async function rebuilt(run: TrainedRun, options: { merge?: boolean; dtype?: OutputDtype }) {
  const base = await openModelFolder(run.base);
  const out = join(await scratch(), "out");
  await reconstruct({ base, log: run.log, out, device, verify: true, replace: false, ...options });
  return filesIn(out);
}

interface Exports {
  readonly exports: { merged: boolean; dtype: string | null; status: string; error: string | null }[];
}
const ask = (run: TrainedRun, args: string) =>
  server.ask<{ materialiseCheckpoint: Exports & { weightsStatus: string } }>(
    `mutation ($id: ID!) { materialiseCheckpoint(id: $id${args}) { weightsStatus exports { merged dtype status error } } }`,
    { id: idOf(run) },
  );

test("an adapter is merged and converted as reconstruct does it, once, and downloaded", async () => {
  const queued = { merged: true, dtype: "FLOAT32", status: "QUEUED", error: null };
  for (let turn = 0; turn < 2; turn += 1) {
    const { materialiseCheckpoint } = await ask(lora, ", merged: true, dtype: FLOAT32");
    expect(materialiseCheckpoint).toEqual({ weightsStatus: "NONE", exports: [queued] });
  }
  const client = new SteplogClient({ url: server.url });
  const exporting = client.exportWeights(idOf(lora), { merged: true, dtype: "FLOAT32" });
  await work(lora);
  const found = await exporting;
  expect(await claimAny(server.store)).toBeNull();
  expect(found.bytes).toBe(found.files.reduce((sum, { bytes }) => sum + bytes, 0));
  const saved = await scratch();
  await client.downloadFiles(found.files, saved);
  expect(await filesIn(saved)).toStrictEqual(await rebuilt(lora, { merge: true, dtype: "float32" }));
  expect(JSON.parse(await readFile(join(saved, "config.json"), "utf8"))).toMatchObject({ dtype: "float32" });
  // Stored: asking again changes nothing, and the weights as they were trained are another request.
  expect((await client.exportWeights(idOf(lora), { merged: true, dtype: "FLOAT32" })).files).toEqual(found.files);
  expect(await claimAny(server.store)).toBeNull();
});

test.each([
  [", merged: true", { merge: true }, () => lora],
  [", dtype: BFLOAT16", { dtype: "bfloat16" }, () => full],
  [", dtype: FLOAT16", { dtype: "float16" }, () => lora],
] as const)("materialiseCheckpoint(id%s) gives what reconstruct gives", async (args, options, run) => {
  await ask(run(), args);
  await work(run());
  const found = (await server.store.exports.list(run().checkpoint.id)).at(-1);
  expect(found).toMatchObject({ status: "STORED", error: null });
  const saved = await scratch();
  const url = `${server.url}/checkpoints/${idOf(run())}/exports`;
  const form = [...("merge" in options ? ["merged"] : []), ...("dtype" in options ? [options.dtype] : [])].join("-");
  const files = (found?.files ?? []).map((file) => ({ ...file, url: `${url}/${form}/${file.name}` }));
  await new SteplogClient({ url: server.url }).downloadFiles(files, saved);
  expect(await filesIn(saved)).toStrictEqual(await rebuilt(run(), options));
});

test("without the two it is what it was: its job, its files, and no export", async () => {
  for (const args of ["", ", merged: false", ", merged: null, dtype: null"]) {
    expect((await ask(full, args)).materialiseCheckpoint.weightsStatus).toBe("QUEUED");
  }
  const before = await server.store.exports.list(full.checkpoint.id);
  const job = await claimed(server.store);
  expect(job).toMatchObject({ kind: "MATERIALISE", subject: full.checkpoint.id });
  await server.store.releaseJob(job);
  await work(full);
  expect(await server.store.checkpoints.get(full.checkpoint.id)).toMatchObject({ weightsStatus: "STORED" });
  expect(await server.store.exports.list(full.checkpoint.id)).toEqual(before);
});

test("what cannot be is refused by name, before a job is queued", async () => {
  const refused = async (args: string, id = idOf(full)) => {
    const text = `mutation ($id: ID!) { materialiseCheckpoint(id: $id${args}) { id } }`;
    const { errors } = await server.gql(text, { id });
    return { message: errors?.[0]?.message, ...errors?.[0]?.extensions };
  };
  expect(await refused(", merged: true")).toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("weights of the model itself") as unknown,
    issues: [{ field: "merged" }],
  });
  expect(await refused(", dtype: INT8")).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await refused(", merged: true", globalId("Checkpoint", "00000000-0000-4000-8000-000000000000"))).toMatchObject(
    {
      code: "NOT_FOUND",
    },
  );
  await expect(new SteplogClient({ url: server.url }).exportWeights(idOf(full), {})).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  expect(await claimAny(server.store)).toBeNull();
});

test("an export that fails says why, is asked for again, and has links only once it is stored", async () => {
  const { store } = server;
  const form = { merged: false, dtype: "float32" } as const;
  const exporting = new SteplogClient({ url: server.url }).exportWeights(idOf(full), { dtype: "FLOAT32" });
  const failure = exporting.catch((error: unknown) => error);
  const job = await vi.waitFor(() => claimed(store), 10_000);
  const link = `${server.url}/checkpoints/${idOf(full)}/exports`;
  expect((await fetch(`${link}/float32/config.json`)).status).toBe(409);
  for (const none of ["merged", "int8"]) expect((await fetch(`${link}/${none}/config.json`)).status).toBe(404);
  await store.finishExport(job, { error: "INVALID_ARGUMENT: too large" });
  expect(await failure).toMatchObject({ code: "INVALID_ARGUMENT", message: "too large" });
  expect(await store.exports.get(full.checkpoint.id, form)).toMatchObject({ status: "FAILED" });

  await ask(full, ", dtype: FLOAT32");
  expect(await store.exports.get(full.checkpoint.id, form)).toMatchObject({ status: "QUEUED", error: null });
  const waiting = await server.ask<{ checkpoint: { exports: { waitingReason: string | null }[] } }>(
    `query ($id: ID!) { checkpoint(id: $id) { exports { waitingReason } } }`,
    { id: idOf(full) },
  );
  expect(waiting.checkpoint.exports.at(-1)?.waitingReason).toMatch(/No worker is running/u);
  expect(await store.repeatJob(await claimed(store), { message: "UNAVAILABLE: full", attempts: 3 })).toBe(true);
  expect(await store.exports.get(full.checkpoint.id, form)).toMatchObject({
    status: "QUEUED",
    error: "UNAVAILABLE: full",
  });
});
