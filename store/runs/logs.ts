/** Reading what a run has logged and measured. */
import { and, asc, eq, gt, lt, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { Chain, decodeHeader, packDecays, unpackEntries } from "../../schema/step-log.ts";
import type { PackedLog } from "../../schema/step-log.ts";
import type { Evaluation, Event, StepMetric } from "../../schema/tables.ts";
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

/** If one segment has decays, all get them: 1 where there were none, which is what the chain hashes. */
async function readSegments(database: Database, id: string, entries: number) {
  const segments = await segmentsOf(database, id, entries);
  const decayed = segments.some((segment) => segment.decays !== null);
  const decaysIn = ({ count, decays }: Segment) => decays ?? packDecays(Array.from({ length: count }, () => 1));
  const scalars = Buffer.concat(segments.map((segment) => segment.scalars));
  const decays = Buffer.concat(decayed ? segments.map(decaysIn) : []);
  invariant(scalars.length === entries * 2, `the log of ${id} has its first ${entries} scalars`);
  return { scalars, decays: decayed ? decays : null };
}

interface Segment {
  readonly count: number;
  readonly scalars: Uint8Array;
  readonly decays: Uint8Array | null;
}

/** The first `entries` entries: those before the run's own are in the log of the run that it continues from. */
async function segmentsOf(database: Database, id: string, entries: number): Promise<Segment[]> {
  const [run] = await database
    .select({ firstEntry: fineTunes.firstEntry, parent: checkpoints.fineTuneId })
    .from(fineTunes)
    .leftJoin(checkpoints, eq(checkpoints.id, fineTunes.fromCheckpointId))
    .where(eq(fineTunes.id, id));
  invariant(run, `${id} is a fine-tune`);
  const before = run.parent === null ? [] : await segmentsOf(database, run.parent, Math.min(entries, run.firstEntry));
  const own = await database
    .select()
    .from(logSegments)
    .where(and(eq(logSegments.fineTuneId, id), lt(logSegments.firstEntry, entries)))
    .orderBy(asc(logSegments.firstEntry));
  return [...before, ...own.map((segment) => cut(segment, entries - segment.firstEntry))];
}

function cut({ count, scalars, decays }: Segment, entries: number): Segment {
  if (entries >= count) return { count, scalars, decays };
  return {
    count: entries,
    scalars: scalars.subarray(0, 2 * entries),
    decays: decays?.subarray(0, 4 * entries) ?? null,
  };
}

/** A checkpoint has its hash; elsewhere the log is hashed again from the start, about a microsecond per entry. */
async function chainAt(database: Database, id: string, log: Omit<StoredLog, "chain">): Promise<Uint8Array> {
  const [checkpoint] = await database
    .select({ chain: checkpoints.chain })
    .from(checkpoints)
    .where(and(eq(checkpoints.fineTuneId, id), eq(checkpoints.entries, log.entries)));
  if (checkpoint) return checkpoint.chain;
  const chain = Chain.start(log.headerBytes);
  const { seed } = decodeHeader(log.headerBytes);
  for (const entry of unpackEntries({ seed, scalars: log.scalars, decays: log.decays })) chain.add(entry);
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
