/**
 * A run, or a completion, while it happens. Rows are the truth: each read takes what comes after the last row given. Notifications
 * only say when to read. A run is read once for all that follow it (shared.ts), however many they are and however slow.
 */
import { and, asc, eq, gt, max } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { isFinal } from "../../schema/states.ts";
import { type Event, type FineTune, type StepMetric, events, fineTunes, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { notFound as completionNotFound } from "../serving/lifecycle.ts";
import type { WrittenPiece } from "../serving/pieces.ts";
import type { Notifications } from "../postgres/notifications.ts";
import { PieceReader } from "./piece-reader.ts";
import { SharedReaders, patiently } from "./shared.ts";
import { SharedRows } from "./shared-rows.ts";
import { type Rows, type Source, pageRows } from "./window.ts";

export type { Rows };

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

export function feedOf(database: Database, notifications: Notifications): Feed {
  const steps = new SharedRows(notifications, (id) => stepsOf(database, id));
  const reader = new PieceReader(database);
  const events = new SharedRows(notifications, (id) => eventsOf(database, id));
  const runs = new SharedReaders<FineTune>(notifications, (id) => ({
    read: (before) => changedRun(database, id, before),
    isLast: ({ status }) => isFinal(status),
  }));
  return {
    steps: (id, { afterStep, signal }) => endable(signal, (over) => steps.after(id, afterStep, over)),
    events: (id, { after, signal }) => endable(signal, (over) => events.after(id, after, over)),
    pieces: (id, { after, signal }) => endable(signal, (over) => piecesOf(reader, notifications, id, after, over)),
    status: (id, options) => endable(options?.signal, (over) => statuses(runs, id, over)),
  };
}

async function* statuses(runs: SharedReaders<FineTune>, id: string, over: AbortSignal): AsyncGenerator<FineTune, void> {
  if (!isUuid(id)) throw notFound(id);
  const follower = runs.follow(id, over);
  try {
    for (let last: FineTune | null = null; !over.aborted;) {
      await follower.changed(last);
      const row = follower.state;
      if (over.aborted || row === null) continue;
      if (row !== last) yield row;
      if (isFinal(row.status)) return;
      last = row;
    }
  } finally {
    follower.leave();
  }
}

/** A completion has one subscriber as a rule, and pieces that come and go: each keeps its own place. */
async function* piecesOf(
  reader: PieceReader,
  notifications: Notifications,
  id: string,
  start: number,
  over: AbortSignal,
): AsyncGenerator<WrittenPiece, void> {
  const subscription = notifications.subscribe(id, over);
  try {
    let after = start;
    let morePages = false;
    while (!over.aborted) {
      if (!morePages) await subscription.change();
      const page = await patiently(notifications, over, async () => (isUuid(id) ? reader.read(id, after) : null));
      if (over.aborted) return;
      if (!page) throw completionNotFound(id);
      for (const piece of page.rows) {
        after = piece.sequence;
        yield piece;
      }
      morePages = page.rows.length === pageRows;
      if (!morePages && page.hasEnded) return;
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
  const mine = eq(stepMetrics.fineTuneId, id);
  return ofRun(database, id, {
    indexOf: (row) => row.step,
    last: () =>
      database
        .select({ last: max(stepMetrics.step) })
        .from(stepMetrics)
        .where(mine),
    rows: (after) =>
      database
        .select()
        .from(stepMetrics)
        .where(and(mine, gt(stepMetrics.step, after)))
        .orderBy(asc(stepMetrics.step))
        .limit(pageRows),
  });
}

function eventsOf(database: Database, id: string): Source<Event> {
  const mine = eq(events.fineTuneId, id);
  return ofRun(database, id, {
    indexOf: (row) => row.sequence,
    last: () =>
      database
        .select({ last: max(events.sequence) })
        .from(events)
        .where(mine),
    rows: (after) =>
      database
        .select()
        .from(events)
        .where(and(mine, gt(events.sequence, after)))
        .orderBy(asc(events.sequence))
        .limit(pageRows),
  });
}

interface RunRows<Row> {
  readonly last: () => Promise<{ last: number | null }[]>;
  readonly rows: (after: number) => Promise<Row[]>;
  readonly indexOf: (row: Row) => number;
}

/** The status first: if it is final, the rows read after it are complete. */
function ofRun<Row>(database: Database, id: string, { last, rows, indexOf }: RunRows<Row>): Source<Row> {
  return {
    indexOf,
    async last() {
      if (!isUuid(id)) throw notFound(id);
      return (await last())[0]?.last ?? 0;
    },
    async read(after) {
      const [run] = await database.select({ status: fineTunes.status }).from(fineTunes).where(eq(fineTunes.id, id));
      if (!run) throw notFound(id);
      return { hasEnded: isFinal(run.status), rows: await rows(after) };
    },
  };
}

/** The row before, if subscribers would see no difference. */
async function changedRun(database: Database, id: string, before: FineTune | null): Promise<FineTune> {
  const [row] = await database.select().from(fineTunes).where(eq(fineTunes.id, id));
  if (!row) throw notFound(id);
  return before && visible(before) === visible(row) ? before : row;
}

function notFound(id: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no fine-tune ${JSON.stringify(id)}.`);
}

/**
 * A waiting generator notices return() only after its wait, which for a quiet run may never end; so return() ends the wait
 * first, as the caller's signal does.
 */
function endable<Row>(signal: AbortSignal | undefined, start: (over: AbortSignal) => Rows<Row>): Rows<Row> {
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
