/** The small things that every store test begins with. */
import { createHash } from "node:crypto";
import postgres from "postgres";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { Chain, encodeHeader, packScalars, unpackEntries } from "../../schema/step-log.ts";
import type { FineTune } from "../../schema/tables.ts";
import { claimAny } from "../support/claims.ts";
import type {
  ChartPoint,
  ChartRequest,
  ClaimedJob,
  Lease,
  NewFineTune,
  NewStepMetric,
  StepBatch,
  Store,
} from "../../store/store.ts";

export const headerBytes = encodeHeader({
  format: 1,
  base: "ab".repeat(32),
  trainable: [{ name: "w", shape: [2, 2], dtype: "F32" }],
  noise: "rademacher",
  seed: 7,
  hyperparameters: { steps: 100 },
});
export const chainStart = Chain.start(headerBytes).hash;
export const longMs = 60_000;

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

export async function newInput(store: Store, key: string | null = null): Promise<NewFineTune> {
  const name = "tiny";
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  const model = await store.baseModels.register({ name, hash: sha256(name), family: "opt", dtype: "F32", ...size });
  const dataset = await store.datasets.create({ name: "reviews", sha256: sha256("rows"), bytes: 4, rows: 1 });
  return {
    idempotencyKey: key,
    name: "run",
    baseModelId: model.id,
    datasetId: dataset.id,
    validationDatasetId: null,
    testDatasetId: null,
    labelWords: ["good", "bad"],
    hyperparameters: hyperparametersSchema.parse({ steps: 100 }),
  };
}

export async function newRun(store: Store): Promise<FineTune> {
  return (await store.fineTunes.create(await newInput(store))).fineTune;
}

export async function claimed(store: Store, worker = "worker", leaseMs = longMs): Promise<ClaimedJob> {
  const job = await claimAny(store, worker, leaseMs);
  if (!job) throw new Error("There was no job to claim.");
  return job;
}

/** A run with its job claimed and its log begun. */
export async function newTraining(store: Store): Promise<{ run: FineTune; job: ClaimedJob }> {
  const run = await newRun(store);
  const job = await claimed(store);
  await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  return { run, job };
}

/** Scalars that tell their place: entry k has the scalar k mod 256, which bfloat16 holds exactly. */
export function scalarsOf(first: number, count: number): Uint8Array {
  return packScalars(Array.from({ length: count }, (_, index) => (first + index) % 256));
}

export function chainAfter(entries: number): Uint8Array {
  const chain = Chain.start(headerBytes);
  for (const entry of unpackEntries({ seed: 7, scalars: scalarsOf(0, entries), decays: null })) chain.add(entry);
  return chain.hash;
}

export function metricsOf(first: number, count: number): NewStepMetric[] {
  return Array.from({ length: count }, (_, index) => {
    const step = first + index + 1;
    return {
      step,
      loss: 1 / step,
      projectedGradient: -step,
      learningRate: 1e-6,
      skipped: null,
      zero: false,
      seconds: 0.01,
    };
  });
}

export function batchOf(firstEntry: number, count: number): StepBatch {
  const scalars = scalarsOf(firstEntry, count);
  const after = chainAfter(firstEntry + count);
  return {
    firstEntry,
    scalars,
    decays: null,
    chainAfter: after,
    metrics: metricsOf(firstEntry, count),
    tokens: 20 * count,
  };
}

export async function append(store: Store, job: Lease, firstEntry: number, count: number): Promise<void> {
  await store.appendSteps(job, batchOf(firstEntry, count));
}

/** Lets a lease run out without waiting for it. */
export async function lapse(url: string, job: Lease): Promise<void> {
  await directly(
    url,
    (sql) => sql`update jobs set lease_expires_at = now() - interval '1 second' where id = ${job.id}`,
  );
}

export async function directly<Result>(url: string, work: (sql: postgres.Sql) => PromiseLike<Result>): Promise<Result> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

export async function chartOf(store: Store, id: string, request: Omit<ChartRequest, "id">): Promise<ChartPoint[]> {
  return (await store.fineTunes.charts([{ id, ...request }]))[0] ?? [];
}
