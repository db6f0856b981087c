/** Reading what a run has logged and measured. */
import { and, asc, eq, gt, lt, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { ones, partsOf } from "../../schema/log-entries.ts";
import { Chain, decodeHeader, unpackEntries } from "../../schema/step-log.ts";
import type { PackedLog } from "../../schema/step-log.ts";
import type { Evaluation, Event, LogSegment, StepMetric } from "../../schema/tables.ts";
import { checkpoints, evaluations, events, fineTunes, logSegments, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";

/** The first `entries` entries of a log; `chain` is the hash over exactly these. */
export interface StoredLog extends PackedLog {
  readonly entries: number;
}

/** Steps of a chart, merged: losses are null when no step of the bucket had a finite one. */
export interface ChartPoint {
  /** Last step of the bucket. */
  readonly step: number;
  readonly loss: number | null;
  readonly lossMin: number | null;
  readonly lossMax: number | null;
  readonly count: number;
}

export interface RunReaders {
  /** Null when the run is unknown or has no log yet. */
  log(id: string): Promise<StoredLog | null>;
  /** @throws INVALID_ARGUMENT when the log has fewer than `entries` entries */
  logPrefix(id: string, entries: number): Promise<StoredLog | null>;
  metrics(id: string, range: { readonly afterStep: number; readonly limit: number }): Promise<StepMetric[]>;
  chart(id: string, options: { readonly points: number }): Promise<ChartPoint[]>;
  evaluations(id: string): Promise<Evaluation[]>;
  events(id: string, range: { readonly after: number; readonly limit: number }): Promise<Event[]>;
}

export function runReaders(database: Database): RunReaders {
  return {
    log: (id) => readLog(database, id, null),
    logPrefix: (id, entries) => readLog(database, id, entries),
    chart: (id, { points }) => chart(database, id, points),
    async metrics(id, { afterStep, limit }) {
      if (!isUuid(id)) return [];
      const after = and(eq(stepMetrics.fineTuneId, id), gt(stepMetrics.step, afterStep));
      return database.select().from(stepMetrics).where(after).orderBy(asc(stepMetrics.step)).limit(limit);
    },
    async evaluations(id) {
      if (!isUuid(id)) return [];
      return database
        .select()
        .from(evaluations)
        .where(eq(evaluations.fineTuneId, id))
        .orderBy(asc(evaluations.entries), asc(evaluations.kind));
    },
    async events(id, { after, limit }) {
      if (!isUuid(id)) return [];
      const later = and(eq(events.fineTuneId, id), gt(events.sequence, after));
      return database.select().from(events).where(later).orderBy(asc(events.sequence)).limit(limit);
    },
  };
}

/**
 * The row is read before the segments, and segments only grow. Cut to the row's count they are the log of one moment,
 * without a transaction.
 */
async function readLog(database: Database, id: string, prefix: number | null): Promise<StoredLog | null> {
  if (!isUuid(id)) return null;
  const [run] = await database
    .select({ headerBytes: fineTunes.logHeader, entries: fineTunes.entries, chain: fineTunes.chain })
    .from(fineTunes)
    .where(eq(fineTunes.id, id));
  if (!run?.headerBytes || !run.chain) return null;
  const { headerBytes } = run;
  const entries = prefix ?? run.entries;
  if (!Number.isInteger(entries) || entries < 0 || entries > run.entries) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `The log has ${counted(run.entries, "entry", "entries")}; ${entries} cannot be read.`,
    );
  }
  const packed = await readSegments(database, id, entries);
  const chain = entries === run.entries ? run.chain : await chainAt(database, id, { headerBytes, entries, ...packed });
  return { headerBytes, ...packed, chain, entries };
}

/**
 * If one segment has decays, all get them: 1 where there were none, which is what the chain hashes. Segments are read a few
 * at a time into their place, so that a long log is in memory once.
 */
async function readSegments(database: Database, id: string, entries: number) {
  const scalars = new Uint8Array(2 * entries);
  let decays: Uint8Array | null = null;
  let at = 0;
  for await (const segment of segmentsOf(database, id, entries)) {
    invariant(segment.firstEntry === at, `the log of ${id} continues at entry ${at}`);
    const count = Math.min(segment.count, entries - at);
    scalars.set(segment.scalars.subarray(0, 2 * count), 2 * at);
    if (segment.decays) (decays ??= ones(entries)).set(segment.decays.subarray(0, 4 * count), 4 * at);
    at += count;
  }
  invariant(at === entries, `the log of ${id} has its first ${entries} entries`);
  return { scalars, decays };
}

/** Segments of 4,096 entries that one query reads. */
const segmentsAtOnce = 128;

/** Up to `entries`, in order: those before the run's own are in the log of the run that it continues from. */
async function* segmentsOf(database: Database, id: string, entries: number): AsyncGenerator<LogSegment> {
  const [run] = await database
    .select({ firstEntry: fineTunes.firstEntry, parent: checkpoints.fineTuneId })
    .from(fineTunes)
    .leftJoin(checkpoints, eq(checkpoints.id, fineTunes.fromCheckpointId))
    .where(eq(fineTunes.id, id));
  invariant(run, `${id} is a fine-tune`);
  if (run.parent !== null)
    yield* cutAt(run.firstEntry, segmentsOf(database, run.parent, Math.min(entries, run.firstEntry)));
  for (let after = -1; ;) {
    const segments = await database
      .select()
      .from(logSegments)
      .where(
        and(eq(logSegments.fineTuneId, id), gt(logSegments.firstEntry, after), lt(logSegments.firstEntry, entries)),
      )
      .orderBy(asc(logSegments.firstEntry))
      .limit(segmentsAtOnce);
    yield* segments;
    if (segments.length < segmentsAtOnce) return;
    after = segments.at(-1)?.firstEntry ?? after;
  }
}

/** The last segment of a parent may go beyond the fork. */
async function* cutAt(end: number, segments: AsyncIterable<LogSegment>): AsyncGenerator<LogSegment> {
  for await (const segment of segments) yield { ...segment, count: Math.min(segment.count, end - segment.firstEntry) };
}

/** Entries hashed between two turns of the event loop. */
const hashedAtOnce = 4_096;

/** A checkpoint has its hash; elsewhere the log is hashed again from the start, about two microseconds per entry. */
async function chainAt(database: Database, id: string, log: Omit<StoredLog, "chain">): Promise<Uint8Array> {
  const [checkpoint] = await database
    .select({ chain: checkpoints.chain })
    .from(checkpoints)
    .where(and(eq(checkpoints.fineTuneId, id), eq(checkpoints.entries, log.entries)));
  if (checkpoint) return checkpoint.chain;
  const chain = Chain.start(log.headerBytes);
  const { seed } = decodeHeader(log.headerBytes);
  for (const part of partsOf(unpackEntries({ seed, scalars: log.scalars, decays: log.decays }), hashedAtOnce)) {
    for (const entry of part) chain.add(entry);
    await new Promise(setImmediate);
  }
  return chain.hash;
}

/** The steps so far in `points` buckets of equal width; when there are fewer steps than points, one bucket per step. */
async function chart(database: Database, id: string, points: number): Promise<ChartPoint[]> {
  if (!isUuid(id)) return [];
  const mine = eq(stepMetrics.fineTuneId, id);
  const width = database
    .select({ steps: sql`greatest(max(${stepMetrics.step}), ${points})` })
    .from(stepMetrics)
    .where(mine);
  const bucket = sql<number>`(${stepMetrics.step} - 1)::bigint * ${points}::int / (${width})`.as("bucket");
  const steps = database
    .select({ bucket, step: stepMetrics.step, loss: stepMetrics.loss })
    .from(stepMetrics)
    .where(mine)
    .as("steps");
  return database
    .select({
      step: sql<number>`max(${steps.step})`,
      loss: sql<number | null>`avg(${steps.loss})`,
      lossMin: sql<number | null>`min(${steps.loss})`,
      lossMax: sql<number | null>`max(${steps.loss})`,
      count: sql<number>`count(*)::int`,
    })
    .from(steps)
    .groupBy(steps.bucket)
    .orderBy(steps.bucket);
}
