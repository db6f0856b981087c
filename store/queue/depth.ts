/**
 * How much work there is, by what it needs, and how many workers it is for. The view queue_depth (schema/queue-view.ts)
 * counts; `workersWanted` is the one query that makes a number of workers of it, here and for autoscalers.
 */
import { asc, sql } from "drizzle-orm";
import { queueDepth } from "../../schema/queue-view.ts";
import type { Database } from "../postgres/database.ts";
import { whyNobody } from "./waiting.ts";
import { liveWorkers } from "./workers.ts";

type Depth = typeof queueDepth.$inferSelect;

export interface QueueEntry extends Depth {
  /** What keeps all live workers from it; null when one of them can do it in its turn. */
  readonly lack: string | null;
}

/** The work of one autoscaler: what needs at least, and less than, so many bytes of memory. */
export interface Share {
  readonly fromBytes?: number;
  readonly belowBytes?: number;
  /**
   * Whose workers it starts. What they have looked at and cannot do is not counted; of what is held, that counts which they hold,
   * whatever its size.
   */
  readonly pool?: string;
  /** Another pool: what its workers cannot do counts whatever it needs. */
  readonly leftBy?: string;
}

export interface QueueDepth {
  /** In order of kind and memory. */
  depth(share?: Share): Promise<QueueEntry[]>;
  /** Workers that would do everything at once: what is free and what is held. */
  workersWanted(share?: Share): Promise<number>;
}

export function queueDepthOf(database: Database): QueueDepth {
  return {
    async depth(share = {}) {
      const rows = await database
        .select()
        .from(queueDepth)
        .orderBy(asc(queueDepth.kind), asc(queueDepth.memoryBytes), asc(queueDepth.needs));
      const workers = await liveWorkers(database);
      return rows.filter((row) => isOf(share, row)).map((row) => ({ ...row, lack: lackOf(row, workers) }));
    },
    async workersWanted(share = {}) {
      const [row] = await database.execute<{ wanted: string }>(sql.raw(workersWantedSql(share)));
      return Number(row?.wanted);
    },
  };
}

function lackOf({ kind, needs }: Depth, workers: Awaited<ReturnType<typeof liveWorkers>>): string | null {
  // Any worker registers what it has found, and downloads.
  if (kind === "REGISTER" || kind === "DOWNLOAD")
    return workers.length === 0 ? whyNobody("FINE_TUNE", needs, workers) : null;
  return whyNobody(kind, needs, workers);
}

/** Requests that a worker answers at once, unless it is told otherwise (STEPLOG_SERVE_SEQUENCES). */
const requestsAtOnce = 16;

/** A worker does one job at a time and answers requests beside it. */
export function workersWantedSql(share: Share): string {
  const where = inRange(share);
  const all = `queue_depth${where === null ? "" : ` where ${where}`}`;
  const [work, from] = share.pool === undefined ? ["free + held", all] : ["work", ofPool(share, share.pool)];
  return (
    `select coalesce(greatest(sum(${work}) filter (where kind <> 'COMPLETE'), ` +
    `ceil(sum(${work}) filter (where kind = 'COMPLETE') / ${requestsAtOnce})), 0)::int as wanted from ${from}`
  );
}

function ofPool(share: Share, name: string): string {
  const pool = quoted(name);
  const range = inRange(share);
  const isFor = [...(range === null ? [] : [range]), `not ${pool} = any(left_by)`].join(" and ");
  const work = `cardinality(array_positions(held_by, ${pool})) + case when ${isFor} then free else 0 end`;
  return `(select kind, ${work} as work from queue_depth) as mine`;
}

/** Null for work of any size. */
function inRange({ fromBytes, belowBytes, leftBy }: Share): string | null {
  const from = fromBytes === undefined ? [] : [`memory_bytes >= ${fromBytes}`];
  const below = belowBytes === undefined ? [] : [`memory_bytes < ${belowBytes}`];
  const range = [...from, ...below].join(" and ");
  if (range === "") return null;
  return leftBy === undefined ? range : `(${range} or ${quoted(leftBy)} = any(left_by))`;
}

function isOf({ fromBytes = 0, belowBytes = Infinity, leftBy }: Share, row: Depth): boolean {
  const isLeft = leftBy !== undefined && row.leftBy.includes(leftBy);
  return isLeft || (row.memoryBytes >= fromBytes && row.memoryBytes < belowBytes);
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
