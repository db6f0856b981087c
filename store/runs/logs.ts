/** What a run has logged and measured, for readers. */
import { and, asc, eq, gt, lt, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { Chain, decodeHeader, packDecays, unpackEntries } from "../../schema/step-log.ts";
import { checkpoints, evaluations, events, fineTunes, logSegments, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import type { ChartPoint, FineTunes, StoredLog } from "../types.ts";

type LogReaders = Pick<FineTunes, "log" | "logPrefix" | "metrics" | "chart" | "evaluations" | "events">;

export function logReaders(database: Database): LogReaders {
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
 * The row is read before the segments, which only ever grow, so cutting them to the row's count gives one moment of the
 * log without a transaction.
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
    throw new SteplogError("INVALID_ARGUMENT", `The log has ${run.entries} entries; ${entries} cannot be read.`);
  }
  const packed = await readSegments(database, id, entries);
  const chain = entries === run.entries ? run.chain : await chainAt(database, id, { headerBytes, entries, ...packed });
  return { headerBytes, ...packed, chain, entries };
}

/** A log of which one part has decays has them throughout: 1 where there is none, which is what the chain hashes. */
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

/** The first `entries` entries: those before the run's own are in the log of the run that it goes on from. */
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

/** A checkpoint has its hash; any other place is hashed anew from the start, about a microsecond an entry. */
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

/** As many buckets of equal width as there are points, over the steps so far; fewer steps are given one by one. */
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
