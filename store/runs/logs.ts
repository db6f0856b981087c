/** Reading what a run has logged and measured. */
import { and, asc, eq, gt, isNotNull, lt, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { ones, partsOf } from "../../schema/log-entries.ts";
import { Chain, decodeHeader, ruleSeed, unpackEntries } from "../../schema/step-log.ts";
import type { LogParts, PackedLog } from "../../schema/step-log.ts";
import { type RunMemory, runMemory } from "../../schema/memory-tables.ts";
import type { Evaluation, Event, LogSegment, StepMetric } from "../../schema/tables.ts";
import { checkpoints, evaluations, events, fineTunes, logSegments, stepMetrics } from "../../schema/tables.ts";
import { type Database, type Executor, isUuid } from "../postgres/database.ts";
import { type ChartPoint, type ChartRequest, charts } from "./charts.ts";

/** The first `entries` entries of a log; `chain` is the hash over exactly these. */
export interface StoredLog extends PackedLog {
  readonly entries: number;
}

/** An entry of a log: the seed of its noise, and how far the weights went along it. */
export interface LoggedPair {
  readonly entry: number;
  readonly seed: bigint;
  readonly scalar: number;
}

export interface RunReaders {
  /** Null when the run is unknown or has no log yet. */
  log(id: string): Promise<StoredLog | null>;
  /** @throws INVALID_ARGUMENT when the log has fewer than `entries` entries */
  logPrefix(id: string, entries: number): Promise<StoredLog | null>;
  /** The same, with numbers that are read while they are used; the whole log when `entries` is null. */
  logParts(id: string, entries: number | null): Promise<LogParts | null>;
  /** Losses of the steps so far, in order; NaN where not finite. */
  losses(id: string): Promise<Float64Array>;
  /** Seconds of the steps, evaluations and checkpoints so far. Workers of earlier releases timed the steps only. */
  trainedSeconds(id: string): Promise<number>;
  metrics(id: string, range: { readonly afterStep: number; readonly limit: number }): Promise<StepMetric[]>;
  /** In the order of the requests. */
  charts(requests: readonly ChartRequest[]): Promise<ChartPoint[][]>;
  /** The last pairs of a run's log, at most `count`, in order; from its own steps only, not those of a run that it continues. */
  lastPairs(id: string, count: number): Promise<LoggedPair[]>;
  evaluations(id: string): Promise<Evaluation[]>;
  /** Readings of the memory of its worker's process, in order. */
  memory(id: string): Promise<RunMemory[]>;
  events(id: string, range: { readonly after: number; readonly limit: number }): Promise<Event[]>;
}

export function runReaders(database: Database): RunReaders {
  return {
    log: (id) => readLog(database, id, null),
    logPrefix: (id, entries) => readLog(database, id, entries),
    logParts: (id, entries) => logParts(database, id, entries),
    losses: (id) => losses(database, id),
    trainedSeconds: (id) => trainedSeconds(database, id),
    charts: (requests) => charts(database, requests),
    lastPairs: (id, count) => lastPairs(database, id, count),
    async metrics(id, { afterStep, limit }) {
      if (!isUuid(id)) return [];
      const after = and(eq(stepMetrics.fineTuneId, id), gt(stepMetrics.step, afterStep));
      return database.select().from(stepMetrics).where(after).orderBy(asc(stepMetrics.step)).limit(limit);
    },
    async memory(id) {
      if (!isUuid(id)) return [];
      const order = [asc(runMemory.step), asc(runMemory.kind)];
      return database
        .select()
        .from(runMemory)
        .where(eq(runMemory.fineTuneId, id))
        .orderBy(...order);
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
  const head = await readHead(database, id, prefix);
  if (!head) return null;
  const packed = await readSegments(database, id, head.entries);
  const chain = head.chain ?? (await chainOf({ ...head, ...packed }));
  return { headerBytes: head.headerBytes, ...packed, chain, entries: head.entries };
}

interface LogHead {
  readonly headerBytes: Uint8Array;
  readonly entries: number;
  /** Null when it is not kept for this number of entries. */
  readonly chain: Uint8Array | null;
}

async function readHead(database: Database, id: string, prefix: number | null): Promise<LogHead | null> {
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
  const chain = entries === run.entries ? run.chain : await keptChain(database, id, entries);
  return { headerBytes, chain, entries };
}

export async function logParts(database: Database, id: string, prefix: number | null): Promise<LogParts | null> {
  const head = await readHead(database, id, prefix);
  if (!head) return null;
  const { entries, headerBytes } = head;
  const chain = head.chain ?? (await chainOf({ ...head, ...(await readSegments(database, id, entries)) }));
  return {
    headerBytes,
    chain,
    entries,
    decayed: await hasDecays(database, id, entries),
    async *scalars() {
      for await (const { scalars, count } of segmentsOf(database, id, entries)) yield scalars.subarray(0, 2 * count);
    },
    async *decays() {
      for await (const { decays, count } of segmentsOf(database, id, entries))
        yield decays?.subarray(0, 4 * count) ?? ones(count);
    },
  };
}

async function hasDecays(database: Database, id: string, entries: number): Promise<boolean> {
  const decayed = and(
    eq(logSegments.fineTuneId, id),
    lt(logSegments.firstEntry, entries),
    isNotNull(logSegments.decays),
  );
  const found = await database.select({ at: logSegments.firstEntry }).from(logSegments).where(decayed).limit(1);
  if (found.length > 0) return true;
  const { parent, firstEntry } = await originOf(database, id);
  return parent !== null && hasDecays(database, parent, Math.min(entries, firstEntry));
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
    const { count } = segment;
    scalars.set(segment.scalars.subarray(0, 2 * count), 2 * at);
    if (segment.decays) (decays ??= ones(entries)).set(segment.decays.subarray(0, 4 * count), 4 * at);
    at += count;
  }
  invariant(at === entries, `the log of ${id} has its first ${entries} entries`);
  return { scalars, decays };
}

/** Segments of 4,096 entries that one query reads. */
const segmentsAtOnce = 128;

/** Where the log of a run has its first entries, and how many. */
async function originOf(database: Executor, id: string) {
  const [run] = await database
    .select({ firstEntry: fineTunes.firstEntry, parent: checkpoints.fineTuneId })
    .from(fineTunes)
    .leftJoin(checkpoints, eq(checkpoints.id, fineTunes.fromCheckpointId))
    .where(eq(fineTunes.id, id));
  invariant(run, `${id} is a fine-tune`);
  return run;
}

/** Up to `entries`, in order, the last one cut: those before the run's own are in the log of the run that it continues from. */
export async function* segmentsOf(database: Executor, id: string, entries: number): AsyncGenerator<LogSegment> {
  const { firstEntry, parent } = await originOf(database, id);
  if (parent !== null) yield* segmentsOf(database, parent, Math.min(entries, firstEntry));
  // A fork may get a copy of its first entries between the two reads.
  for (let after = parent === null ? -1 : firstEntry - 1; ;) {
    const segments = await database
      .select()
      .from(logSegments)
      .where(
        and(eq(logSegments.fineTuneId, id), gt(logSegments.firstEntry, after), lt(logSegments.firstEntry, entries)),
      )
      .orderBy(asc(logSegments.firstEntry))
      .limit(segmentsAtOnce);
    for (const segment of segments) yield { ...segment, count: Math.min(segment.count, entries - segment.firstEntry) };
    if (segments.length < segmentsAtOnce) return;
    after = segments.at(-1)?.firstEntry ?? after;
  }
}

/** Entries hashed between two turns of the event loop. */
const hashedAtOnce = 4_096;

/** That of a checkpoint. */
async function keptChain(database: Database, id: string, entries: number): Promise<Uint8Array | null> {
  const [checkpoint] = await database
    .select({ chain: checkpoints.chain })
    .from(checkpoints)
    .where(and(eq(checkpoints.fineTuneId, id), eq(checkpoints.entries, entries)));
  return checkpoint?.chain ?? null;
}

/** The log is hashed again from the start, about two microseconds per entry. */
async function chainOf(log: Omit<StoredLog, "chain">): Promise<Uint8Array> {
  const chain = Chain.start(log.headerBytes);
  const { seed } = decodeHeader(log.headerBytes);
  for (const part of partsOf(unpackEntries({ seed, scalars: log.scalars, decays: log.decays }), hashedAtOnce)) {
    for (const entry of part) chain.add(entry);
    await new Promise(setImmediate);
  }
  return chain.hash;
}

/** Losses that one query reads. */
const lossesAtOnce = 10_000;

export async function trainedSeconds(database: Database, id: string): Promise<number> {
  if (!isUuid(id)) return 0;
  const of = (table: typeof stepMetrics | typeof evaluations | typeof checkpoints) =>
    sql`coalesce((select sum(${table.seconds}) from ${table} where ${eq(table.fineTuneId, id)}), 0)`;
  const [row] = await database.execute<{ seconds: number }>(
    sql`select (${of(stepMetrics)} + ${of(evaluations)} + ${of(checkpoints)})::float8 as seconds`,
  );
  return row?.seconds ?? 0;
}

async function losses(database: Database, id: string): Promise<Float64Array> {
  const all: number[] = [];
  if (!isUuid(id)) return new Float64Array();
  for (;;) {
    const rows = await database
      .select({ loss: stepMetrics.loss })
      .from(stepMetrics)
      .where(and(eq(stepMetrics.fineTuneId, id), gt(stepMetrics.step, all.length)))
      .orderBy(asc(stepMetrics.step))
      .limit(lossesAtOnce);
    for (const { loss } of rows) all.push(loss ?? NaN);
    if (rows.length < lossesAtOnce) return Float64Array.from(all);
  }
}
async function lastPairs(database: Database, id: string, count: number): Promise<LoggedPair[]> {
  if (!isUuid(id)) return [];
  const [run] = await database
    .select({ header: fineTunes.logHeader, entries: fineTunes.entries, firstEntry: fineTunes.firstEntry })
    .from(fineTunes)
    .where(eq(fineTunes.id, id));
  if (!run?.header) return [];
  const { seed } = decodeHeader(run.header);
  const start = Math.max(run.firstEntry, run.entries - count);
  const segments = await database
    .select()
    .from(logSegments)
    .where(and(eq(logSegments.fineTuneId, id), gt(sql`${logSegments.firstEntry} + ${logSegments.count}`, start)))
    .orderBy(asc(logSegments.firstEntry));
  return segments.flatMap(({ firstEntry, scalars }) => {
    const view = new DataView(scalars.buffer, scalars.byteOffset, scalars.byteLength);
    return Array.from({ length: scalars.byteLength / 2 }, (_, index) => ({
      entry: firstEntry + index,
      seed: ruleSeed(seed, firstEntry + index),
      scalar: bfloat16(view.getUint16(2 * index, true)),
    })).filter(({ entry }) => entry >= start && entry < run.entries);
  });
}

/** The number whose upper 16 bits as a float32 these are. */
function bfloat16(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}
