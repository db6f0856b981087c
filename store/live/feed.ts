/**
 * A run as it goes on. Rows are the truth: each look reads what is after the last row given. The hub only says when it is
 * worth looking.
 */
import { setTimeout as delay } from "node:timers/promises";
import { and, asc, eq, gt } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { isFinal } from "../../schema/states.ts";
import { type Event, type FineTune, type StepMetric, events, fineTunes, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { asStoreError, isUnavailable } from "../postgres/failures.ts";
import type { Hub } from "../postgres/notifications.ts";
import type { Feed, Rows } from "../types.ts";

/** Rows of one read: what a subscriber that fell behind holds at most. */
const pageRows = 500;
/** Pause before a read is tried again while Postgres does not answer. */
const retryMs = 1_000;

interface Source<Row> {
  /** The next rows after the index, a page at most. */
  read(after: number): Promise<Row[]>;
  indexOf(row: Row): number;
}

export function feedOf(database: Database, hub: Hub): Feed {
  return {
    steps: (id, { afterStep, signal }) =>
      endable(signal, (over) => rowsAfter(database, hub, id, stepsOf(database, id), afterStep, over)),
    events: (id, { after, signal }) =>
      endable(signal, (over) => rowsAfter(database, hub, id, eventsOf(database, id), after, over)),
    status: (id, options) => endable(options?.signal, (over) => statuses(database, hub, id, over)),
  };
}

async function* rowsAfter<Row>(
  database: Database,
  hub: Hub,
  id: string,
  source: Source<Row>,
  start: number,
  over: AbortSignal,
): AsyncGenerator<Row, void> {
  const subscription = hub.subscribe(id, over);
  try {
    let after = start;
    let behind = false;
    while (!over.aborted) {
      if (!behind) await subscription.change();
      const page = await patiently(hub, over, () => readPage(database, id, source, after));
      if (over.aborted) return;
      if (!page) throw notFound(id);
      for (const row of page.rows) {
        after = source.indexOf(row);
        yield row;
      }
      behind = page.rows.length === pageRows;
      if (!behind && isFinal(page.status)) return;
    }
  } finally {
    subscription.close();
  }
}

async function* statuses(database: Database, hub: Hub, id: string, over: AbortSignal): AsyncGenerator<FineTune, void> {
  const subscription = hub.subscribe(id, over);
  try {
    let last: string | null = null;
    while (!over.aborted) {
      await subscription.change();
      const row = await patiently(hub, over, () => readRun(database, id));
      if (over.aborted) return;
      if (!row) throw notFound(id);
      const now = visible(row);
      if (now !== last) yield row;
      if (isFinal(row.status)) return;
      last = now;
    }
  } finally {
    subscription.close();
  }
}

/** The columns whose change is worth telling; the log's header is long and never changes. */
function visible(row: FineTune): string {
  const { status, cancelRequested, stepsDone, skippedSteps, zeroSteps, device } = row;
  return JSON.stringify([status, cancelRequested, stepsDone, skippedSteps, zeroSteps, device]);
}

// Reads

function stepsOf(database: Database, id: string): Source<StepMetric> {
  const mine = (after: number) => and(eq(stepMetrics.fineTuneId, id), gt(stepMetrics.step, after));
  return {
    indexOf: (row) => row.step,
    read: (after) =>
      database.select().from(stepMetrics).where(mine(after)).orderBy(asc(stepMetrics.step)).limit(pageRows),
  };
}

function eventsOf(database: Database, id: string): Source<Event> {
  const mine = (after: number) => and(eq(events.fineTuneId, id), gt(events.sequence, after));
  return {
    indexOf: (row) => row.sequence,
    read: (after) => database.select().from(events).where(mine(after)).orderBy(asc(events.sequence)).limit(pageRows),
  };
}

/** The status first: when it is final, the rows read after it are all there are. */
async function readPage<Row>(database: Database, id: string, source: Source<Row>, after: number) {
  if (!isUuid(id)) return null;
  const [run] = await database.select({ status: fineTunes.status }).from(fineTunes).where(eq(fineTunes.id, id));
  return run ? { status: run.status, rows: await source.read(after) } : null;
}

async function readRun(database: Database, id: string): Promise<FineTune | null> {
  if (!isUuid(id)) return null;
  const [row] = await database.select().from(fineTunes).where(eq(fineTunes.id, id));
  return row ?? null;
}

/** A subscription outlives a restart of Postgres: it tries until Postgres answers or nobody wants to know any more. */
async function patiently<Result>(hub: Hub, over: AbortSignal, read: () => Promise<Result>): Promise<Result | null> {
  while (!over.aborted) {
    if (hub.closed) throw new SteplogError("UNAVAILABLE", "This process is stopping. Subscribe again where you stood.");
    try {
      return await read();
    } catch (error) {
      if (!isUnavailable(error)) throw asStoreError(error);
      await delay(retryMs, undefined, { signal: over }).catch(() => {});
    }
  }
  return null;
}

function notFound(id: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no fine-tune ${JSON.stringify(id)}.`);
}

/**
 * A generator that waits would hear of return() only after its wait, which for a quiet run is never; so return() ends
 * the wait first, as the caller's signal does.
 */
function endable<Row>(
  signal: AbortSignal | undefined,
  start: (over: AbortSignal) => AsyncGenerator<Row, void>,
): Rows<Row> {
  const over = new AbortController();
  const end = (): void => over.abort();
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { signal: over.signal });
  const rows = start(over.signal);
  return {
    next: () => rows.next(),
    async return() {
      end();
      return rows.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
