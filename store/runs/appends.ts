/**
 * Writing the log. An append is one transaction: fence, segments, metrics, count and chain, notification; so a reader
 * finds either all of a batch or nothing, and what was acknowledged is on disk.
 */
import { and, desc, eq, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { type FineTune, fineTunes, logSegments, stepMetrics } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { holdTraining } from "../queue/leases.ts";
import { wakeWatchers } from "./events.ts";
import type { Lease, LogBegin, NewStepMetric, StepBatch, Store } from "../types.ts";

/** Entries of one row: few enough to rewrite the last row with each append, many enough to keep rows few. */
export const segmentEntries = 4_096;

type Appends = Pick<Store, "beginLog" | "appendSteps">;

export function appendsOf(database: Database): Appends {
  return {
    beginLog: (lease, begin) => database.transaction((tx) => beginLog(tx, lease, begin)),
    async appendSteps(lease, batch) {
      checkBatch(batch);
      return database.transaction((tx) => append(tx, lease, batch));
    },
  };
}

async function beginLog(tx: Transaction, lease: Lease, begin: LogBegin): Promise<void> {
  const run = await holdTraining(tx, lease);
  if (run.logHeader && !Buffer.from(begin.headerBytes).equals(run.logHeader)) {
    throw new SteplogError(
      "INVALID_STATE",
      `Fine-tune ${run.id} has a log that begins with another header, so this worker would not go on with the same ` +
        "run. Its base model or its version differs from the first worker's.",
    );
  }
  const header = run.logHeader ? {} : { logHeader: begin.headerBytes, chain: begin.chain };
  await tx
    .update(fineTunes)
    .set({ ...header, device: begin.device, pickedRate: begin.pickedRate ?? null })
    .where(eq(fineTunes.id, run.id));
  await wakeWatchers(tx, run.id);
}

function countOf(batch: StepBatch): number {
  return batch.scalars.length / 2;
}

/** What only a fault in the worker can break. */
function checkBatch(batch: StepBatch): void {
  const count = countOf(batch);
  invariant(Number.isInteger(count) && count > 0, "a batch has one or more scalars of two bytes");
  invariant(
    batch.decays === null || batch.decays.length === count * 4,
    "a batch has a decay of four bytes for each scalar",
  );
  invariant(batch.chainAfter.length === 32, "a chain hash has 32 bytes");
  const steps = batch.metrics.length;
  invariant(steps > 0 && steps <= count, "a batch has whole steps, with an entry or more each");
  const [first] = batch.metrics;
  const gap = batch.metrics.find(({ step }, index) => step !== (first?.step ?? 0) + index);
  invariant(!gap, `step ${gap?.step} follows the one before it`);
}

async function append(tx: Transaction, lease: Lease, batch: StepBatch): Promise<{ cancelRequested: boolean }> {
  const run = await holdTraining(tx, lease);
  if (!run.logHeader) throw new SteplogError("INVALID_STATE", `The log of fine-tune ${run.id} has not begun.`);
  if (run.entries !== batch.firstEntry) throw notAtEnd(run, batch);
  invariant(batch.metrics[0]?.step === run.stepsDone + 1, `the batch begins behind step ${run.stepsDone}`);
  await growLog(tx, run.id, batch);
  await insertMetrics(tx, run.id, batch.metrics);
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
  await wakeWatchers(tx, run.id);
  return { cancelRequested: run.cancelRequested };
}

function notAtEnd(run: FineTune, batch: StepBatch): SteplogError {
  return new SteplogError(
    "LEASE_LOST",
    `The log of fine-tune ${run.id} ends at entry ${run.entries}, not at ${batch.firstEntry}: this worker's place in ` +
      "it is out of date. Claim again and go on from the log.",
  );
}

/** Fills the last row up, then begins new ones. */
async function growLog(tx: Transaction, fineTuneId: string, batch: StepBatch): Promise<void> {
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
  invariant(!tail || tail.plain === (batch.decays === null), `the log of ${fineTuneId} has all decays or none`);
  const room = tail ? segmentEntries - tail.count : 0;
  if (tail && room > 0) await growSegment(tx, fineTuneId, tail.first, cut(batch, 0, room));
  for (let from = room; from < countOf(batch); from += segmentEntries) {
    const firstEntry = batch.firstEntry + from;
    await tx.insert(logSegments).values({ fineTuneId, firstEntry, ...cut(batch, from, from + segmentEntries) });
  }
}

/** Entries `from` to `to` of the batch, or to its end. */
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

/** As one JSON parameter: the statement stays the same whatever the number of rows, and is parsed in no time. */
async function insertMetrics(tx: Transaction, fineTuneId: string, metrics: readonly NewStepMetric[]): Promise<void> {
  if (metrics.length === 0) return;
  // JSON has no NaN; JSON.stringify makes it null, as the table wants it.
  const rows = JSON.stringify(metrics);
  await tx.execute(sql`
    insert into ${stepMetrics} (fine_tune_id, step, loss, projected_gradient, learning_rate, skipped, seconds)
    select ${fineTuneId}::uuid, step, loss, "projectedGradient", "learningRate", skipped, seconds
    from jsonb_to_recordset(${rows}::jsonb) as metric (
      step integer, loss float8, "projectedGradient" float8, "learningRate" float8, skipped text, seconds float8
    )`);
}
