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

/** Work is counted if it needs at least, and less than, so many bytes of memory. */
export interface MemoryRange {
  readonly fromBytes?: number;
  readonly belowBytes?: number;
}

export interface QueueDepth {
  /** In order of kind and memory. */
  depth(range?: MemoryRange): Promise<QueueEntry[]>;
  /** Workers that would do everything at once: what is free and what is held. */
  workersWanted(range?: MemoryRange): Promise<number>;
}

export function queueDepthOf(database: Database): QueueDepth {
  return {
    async depth({ fromBytes = 0, belowBytes = Infinity } = {}) {
      const rows = await database
        .select()
        .from(queueDepth)
        .orderBy(asc(queueDepth.kind), asc(queueDepth.memoryBytes), asc(queueDepth.needs));
      const workers = await liveWorkers(database);
      return rows
        .filter(({ memoryBytes }) => memoryBytes >= fromBytes && memoryBytes < belowBytes)
        .map((row) => ({ ...row, lack: lackOf(row, workers) }));
    },
    async workersWanted(range = {}) {
      const [row] = await database.execute<{ wanted: string }>(sql.raw(workersWantedSql(range)));
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
export function workersWantedSql({ fromBytes, belowBytes }: MemoryRange): string {
  const from = fromBytes === undefined ? [] : [`memory_bytes >= ${fromBytes}`];
  const below = belowBytes === undefined ? [] : [`memory_bytes < ${belowBytes}`];
  const where = [...from, ...below].join(" and ");
  return (
    "select coalesce(greatest(sum(free + held) filter (where kind <> 'COMPLETE'), " +
    `ceil(sum(free + held) filter (where kind = 'COMPLETE') / ${requestsAtOnce})), 0)::int as wanted ` +
    `from queue_depth${where === "" ? "" : ` where ${where}`}`
  );
}
