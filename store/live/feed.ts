/**
 * A run, or a completion, while it happens. Rows are the truth: each read takes what comes after the last row given. Notifications only say when
 * to read.
 */
import { setTimeout as delay } from "node:timers/promises";
import { and, asc, eq, gt } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { isFinal } from "../../schema/states.ts";
import { type Event, type FineTune, type StepMetric, events, fineTunes, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { notFound as completionNotFound } from "../serving/lifecycle.ts";
import { type WrittenPiece, piecesAfter } from "../serving/pieces.ts";
import { asStoreError, isUnavailable } from "../postgres/failures.ts";
import type { Notifications } from "../postgres/notifications.ts";

/** return() ends it at once, even while a next() is waiting. */
export interface Rows<Row> extends AsyncIterableIterator<Row, void> {
  return(): Promise<IteratorResult<Row, void>>;
}

/**
 * Rows as they appear. A subscriber gives the index of its last row and gets the rest from the tables, so it sees each row
 * once and in order, whatever happens to its connection. An unknown id throws NOT_FOUND at the first pull. Leaving the
 * loop, return() or the signal ends a feed.
 */
export interface Feed {
  /** Ends when the run has ended and all its steps were given. */
  steps(fineTuneId: string, options: { afterStep: number; signal?: AbortSignal | undefined }): Rows<StepMetric>;
  /** The current row, then a row after each change of status or progress (merged); ends after a final status. */
  status(fineTuneId: string, options?: { signal?: AbortSignal | undefined }): Rows<FineTune>;
  /** Ends when the run has ended and all its events were given. */
  events(fineTuneId: string, options: { after: number; signal?: AbortSignal | undefined }): Rows<Event>;
  /** After the piece with number `after`. Ends when the completion has ended, however, and all its pieces were given. */
  pieces(completionId: string, options: { after: number; signal?: AbortSignal | undefined }): Rows<WrittenPiece>;
}

/** Rows of one read: the most that a slow subscriber holds in memory. */
const pageRows = 500;
/** Pause before a read is repeated while Postgres does not answer. */
const retryMs = 1_000;

interface Source<Row> {
  notFound(): SteplogError;
  /** The next rows after the index, at most a page; null if what they are about does not exist. */
  read(after: number): Promise<Page<Row> | null>;
  indexOf(row: Row): number;
}

interface Page<Row> {
  readonly rows: Row[];
  /** Whether what the rows are about had ended when they were read, so that no more will come. */
  readonly hasEnded: boolean;
}

export function feedOf(database: Database, notifications: Notifications): Feed {
  return {
    steps: (id, { afterStep, signal }) =>
      endable(signal, (over) => rowsAfter(notifications, id, stepsOf(database, id), afterStep, over)),
    events: (id, { after, signal }) =>
      endable(signal, (over) => rowsAfter(notifications, id, eventsOf(database, id), after, over)),
    pieces: (id, { after, signal }) =>
      endable(signal, (over) => rowsAfter(notifications, id, piecesOf(database, id), after, over)),
    status: (id, options) => endable(options?.signal, (over) => statuses(database, notifications, id, over)),
  };
}

async function* rowsAfter<Row>(
  notifications: Notifications,
  id: string,
  source: Source<Row>,
  start: number,
  over: AbortSignal,
): AsyncGenerator<Row, void> {
  const subscription = notifications.subscribe(id, over);
  try {
    let after = start;
    let morePages = false;
    while (!over.aborted) {
      if (!morePages) await subscription.change();
      const page = await patiently(notifications, over, async () => (isUuid(id) ? source.read(after) : null));
      if (over.aborted) return;
      if (!page) throw source.notFound();
      for (const row of page.rows) {
        after = source.indexOf(row);
        yield row;
      }
      morePages = page.rows.length === pageRows;
      if (!morePages && page.hasEnded) return;
    }
  } finally {
    subscription.close();
  }
}

async function* statuses(
  database: Database,
  notifications: Notifications,
  id: string,
  over: AbortSignal,
): AsyncGenerator<FineTune, void> {
  const subscription = notifications.subscribe(id, over);
  try {
    let last: string | null = null;
    while (!over.aborted) {
      await subscription.change();
      const row = await patiently(notifications, over, () => readRun(database, id));
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

/** The columns whose change subscribers see; the log's header is long and never changes. */
function visible(row: FineTune): string {
  const { status, wanted, stepsDone, skippedSteps, zeroSteps, device, name, tags, metadata, priority, archivedAt } =
    row;
  return JSON.stringify([
    status,
    wanted,
    stepsDone,
    skippedSteps,
    zeroSteps,
    device,
    name,
    tags,
    metadata,
    priority,
    archivedAt,
  ]);
}

// Reads

function stepsOf(database: Database, id: string): Source<StepMetric> {
  const mine = (after: number) => and(eq(stepMetrics.fineTuneId, id), gt(stepMetrics.step, after));
  return ofRun(database, id, {
    indexOf: (row) => row.step,
    rows: (after) =>
      database.select().from(stepMetrics).where(mine(after)).orderBy(asc(stepMetrics.step)).limit(pageRows),
  });
}

function eventsOf(database: Database, id: string): Source<Event> {
  const mine = (after: number) => and(eq(events.fineTuneId, id), gt(events.sequence, after));
  return ofRun(database, id, {
    indexOf: (row) => row.sequence,
    rows: (after) => database.select().from(events).where(mine(after)).orderBy(asc(events.sequence)).limit(pageRows),
  });
}

interface RunRows<Row> {
  readonly rows: (after: number) => Promise<Row[]>;
  readonly indexOf: (row: Row) => number;
}

/** The status first: if it is final, the rows read after it are complete. */
function ofRun<Row>(database: Database, id: string, { rows, indexOf }: RunRows<Row>): Source<Row> {
  return {
    indexOf,
    notFound: () => notFound(id),
    async read(after) {
      const [run] = await database.select({ status: fineTunes.status }).from(fineTunes).where(eq(fineTunes.id, id));
      return run ? { hasEnded: isFinal(run.status), rows: await rows(after) } : null;
    },
  };
}

function piecesOf(database: Database, id: string): Source<WrittenPiece> {
  return {
    indexOf: (row) => row.sequence,
    read: (after) => piecesAfter(database, id, after, pageRows),
    notFound: () => completionNotFound(id),
  };
}

async function readRun(database: Database, id: string): Promise<FineTune | null> {
  if (!isUuid(id)) return null;
  const [row] = await database.select().from(fineTunes).where(eq(fineTunes.id, id));
  return row ?? null;
}

/** A subscription survives a restart of Postgres: it retries until Postgres answers or the subscriber leaves. */
async function patiently<Result>(
  notifications: Notifications,
  over: AbortSignal,
  read: () => Promise<Result>,
): Promise<Result | null> {
  while (!over.aborted) {
    if (notifications.closed)
      throw new SteplogError("UNAVAILABLE", "This process is stopping. Subscribe again after the last item you have.");
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
 * A waiting generator notices return() only after its wait, which for a quiet run may never end; so return() ends the wait
 * first, as the caller's signal does.
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
