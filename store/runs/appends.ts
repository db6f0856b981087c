/**
 * Writing the log. An append is one transaction: fence, segments, metrics, counts, chain hash and notification. A reader sees
 * all of a batch or nothing of it, and what was acknowledged is on disk.
 */
import { and, desc, eq, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { type FineTune, type Job, fineTunes, logSegments, stepMetrics } from "../../schema/tables.ts";
import type { Wanted } from "../../schema/states.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { type Use, addUsage } from "../projects/usage.ts";
import { madeProgress } from "../queue/jobs.ts";
import type { Lease } from "../queue/leases.ts";
import { mergeSteps } from "./step-blocks.ts";
import { lockJobAndRun, lockRunOf } from "./lifecycle.ts";

/** Entries of one row: few enough that each append can rewrite the last row, many enough that rows stay few. */
export const segmentEntries = 4_096;

export interface LogStart {
  readonly headerBytes: Uint8Array;
  readonly chain: Uint8Array;
  readonly device: string;
  /** The learning rate that AUTO picked; null when the run gave one. */
  readonly pickedRate?: number | null;
}

export interface NewStepMetric {
  readonly step: number;
  readonly loss: number | null;
  readonly projectedGradient: number | null;
  readonly learningRate: number;
  readonly skipped: string | null;
  /** Whether nothing was applied because both sides of every estimate had the same loss. */
  readonly zero: boolean;
  readonly seconds: number;
}

export interface StepBatch {
  /** Entries in the log before this batch. */
  readonly firstEntry: number;
  /** Two bytes per entry. */
  readonly scalars: Uint8Array;
  /** Four bytes per entry; null in a run without weight decay. */
  readonly decays: Uint8Array | null;
  /** Chain hash after the last entry of the batch. */
  readonly chainAfter: Uint8Array;
  /** Of whole steps, each of one or more entries, in order and without a gap. */
  readonly metrics: readonly NewStepMetric[];
  /** Of the rows of all these steps. */
  readonly tokens: number;
}

export interface Appends {
  /** Sets the header of the log once. @throws INVALID_STATE when the log has another header */
  beginLog(job: Lease, start: LogStart): Promise<void>;
  /** All or nothing. @throws LEASE_LOST also when the log does not end at `firstEntry` */
  appendSteps(job: Lease, batch: StepBatch): Promise<{ wanted: Wanted }>;
}

export function appendsOf(database: Database): Appends {
  return {
    beginLog: (lease, start) => database.transaction((tx) => beginLog(tx, lease, start)),
    async appendSteps(lease, batch) {
      checkBatch(batch);
      return database.transaction((tx) => append(tx, lease, batch));
    },
  };
}

async function beginLog(tx: Transaction, lease: Lease, start: LogStart): Promise<void> {
  const run = await lockRunOf(tx, lease);
  if (run.logHeader && !Buffer.from(start.headerBytes).equals(run.logHeader)) {
    throw new SteplogError(
      "INVALID_STATE",
      `The log of fine-tune ${run.id} has another header, so this worker would not continue the same run. ` +
        "Its base model or its version differs from the first worker's.",
    );
  }
  const header = run.logHeader ? {} : { logHeader: start.headerBytes, chain: start.chain };
  const change = { ...header, device: start.device, pickedRate: start.pickedRate ?? null };
  await Promise.all([tx.update(fineTunes).set(change).where(eq(fineTunes.id, run.id)), wakeWatchers(tx, run.id)]);
}

function countOf(batch: StepBatch): number {
  return batch.scalars.length / 2;
}

/** Only a fault in the worker can break these. */
function checkBatch(batch: StepBatch): void {
  const count = countOf(batch);
  invariant(Number.isInteger(count) && count > 0, "a batch has one or more scalars of two bytes");
  invariant(
    batch.decays === null || batch.decays.length === count * 4,
    "a batch has a decay of four bytes for each scalar",
  );
  invariant(batch.chainAfter.length === 32, "a chain hash has 32 bytes");
  const steps = batch.metrics.length;
  invariant(steps > 0 && steps <= count, "a batch has whole steps, each of one or more entries");
  const [first] = batch.metrics;
  const gap = batch.metrics.find(({ step }, index) => step !== (first?.step ?? 0) + index);
  invariant(!gap, `step ${gap?.step} follows the one before it`);
}

async function append(tx: Transaction, lease: Lease, batch: StepBatch): Promise<{ wanted: Wanted }> {
  const { job, run } = await lockJobAndRun(tx, lease);
  await appendTo(tx, { job, run }, batch);
  return { wanted: run.wanted };
}

/** What an append does once job and run are locked. */
export async function appendTo(
  tx: Transaction,
  { job, run }: { readonly job: Job; readonly run: FineTune },
  batch: StepBatch,
): Promise<void> {
  if (!run.logHeader) throw new SteplogError("INVALID_STATE", `The log of fine-tune ${run.id} has no header yet.`);
  if (run.entries !== batch.firstEntry) throw notAtEnd(run, batch);
  invariant(batch.metrics[0]?.step === run.stepsDone + 1, `the batch starts after step ${run.stepsDone}`);
  const tail = await tailOf(tx, run.id);
  invariant(!tail || tail.plain === (batch.decays === null), `the log of ${run.id} has all decays or none`);
  // Sent together, one statement each: what an append takes is mostly its ways to Postgres and back.
  await Promise.all([
    ...growLog(tx, run.id, tail, batch),
    insertMetrics(tx, run.id, batch.metrics),
    countSteps(tx, run, batch),
    madeProgress(tx, job),
    wakeWatchers(tx, run.id),
    addUsage(tx, usedBy(batch, run.projectId)),
  ]);
  await mergeSteps(tx, run.id, { before: run.stepsDone, after: run.stepsDone + batch.metrics.length });
}

async function countSteps(tx: Transaction, run: FineTune, batch: StepBatch): Promise<void> {
  const skipped = batch.metrics.filter((metric) => metric.skipped !== null).length;
  const zero = batch.metrics.filter((metric) => metric.zero).length;
  await tx
    .update(fineTunes)
    .set({
      entries: batch.firstEntry + countOf(batch),
      stepsDone: run.stepsDone + batch.metrics.length,
      chain: batch.chainAfter,
      skippedSteps: sql`${fineTunes.skippedSteps} + ${skipped}`,
      zeroSteps: sql`${fineTunes.zeroSteps} + ${zero}`,
    })
    .where(eq(fineTunes.id, run.id));
}

function usedBy({ metrics, tokens }: StepBatch, projectId: string): Use[] {
  return [
    { projectId, kind: "STEPS", amount: metrics.length },
    { projectId, kind: "STEP_SECONDS", amount: metrics.reduce((sum, { seconds }) => sum + seconds, 0) },
    { projectId, kind: "TOKENS_TRAINED", amount: tokens },
  ];
}

function notAtEnd(run: FineTune, batch: StepBatch): SteplogError {
  return new SteplogError(
    "LEASE_LOST",
    `The log of fine-tune ${run.id} ends at entry ${run.entries}, not at ${batch.firstEntry}: this worker's view ` +
      "of it is out of date. Claim the job again and continue from the log.",
  );
}

interface Tail {
  readonly first: number;
  readonly count: number;
  readonly plain: boolean;
}

/** The last row of a log; null before its first entry. */
async function tailOf(tx: Transaction, fineTuneId: string): Promise<Tail | null> {
  const [tail] = await tx
    .select({
      first: logSegments.firstEntry,
      count: logSegments.count,
      plain: sql<boolean>`${logSegments.decays} is null`,
    })
    .from(logSegments)
    .where(eq(logSegments.fineTuneId, fineTuneId))
    .orderBy(desc(logSegments.firstEntry))
    .limit(1);
  return tail ?? null;
}

/** Fills the last row, and adds new ones. */
function growLog(tx: Transaction, fineTuneId: string, tail: Tail | null, batch: StepBatch): PromiseLike<unknown>[] {
  const room = tail ? segmentEntries - tail.count : 0;
  const statements: PromiseLike<unknown>[] = [];
  if (tail && room > 0) statements.push(growSegment(tx, fineTuneId, tail.first, cut(batch, 0, room)));
  for (let from = room; from < countOf(batch); from += segmentEntries) {
    const firstEntry = batch.firstEntry + from;
    statements.push(
      tx.insert(logSegments).values({ fineTuneId, firstEntry, ...cut(batch, from, from + segmentEntries) }),
    );
  }
  return statements;
}

/** Entries `from` (inclusive) to `to` (exclusive) of the batch, or to its end. */
function cut(batch: StepBatch, from: number, to: number) {
  const scalars = batch.scalars.subarray(from * 2, to * 2);
  return { scalars, decays: batch.decays?.subarray(from * 4, to * 4) ?? null, count: scalars.length / 2 };
}

async function growSegment(
  tx: Transaction,
  fineTuneId: string,
  first: number,
  more: { scalars: Uint8Array; decays: Uint8Array | null; count: number },
): Promise<void> {
  await tx
    .update(logSegments)
    .set({
      count: sql`${logSegments.count} + ${more.count}`,
      scalars: sql`${logSegments.scalars} || ${more.scalars}::bytea`,
      decays: sql`${logSegments.decays} || ${more.decays}::bytea`,
    })
    .where(and(eq(logSegments.fineTuneId, fineTuneId), eq(logSegments.firstEntry, first)));
}

/** One JSON parameter keeps the statement the same whatever the number of rows, so Postgres parses it once. */
async function insertMetrics(tx: Transaction, fineTuneId: string, metrics: readonly NewStepMetric[]): Promise<void> {
  if (metrics.length === 0) return;
  // JSON.stringify turns NaN into null, which the table wants as well.
  const rows = JSON.stringify(metrics);
  await tx.execute(sql`
    insert into ${stepMetrics} (fine_tune_id, step, loss, projected_gradient, learning_rate, skipped, seconds)
    select ${fineTuneId}::uuid, step, loss, "projectedGradient", "learningRate", skipped, seconds
    from jsonb_to_recordset(${rows}::jsonb) as metric (
      step integer, loss float8, "projectedGradient" float8, "learningRate" float8, skipped text, seconds float8
    )`);
}
