/**
 * What gateways and workers do now and then, beside their work, one process at a time over the whole service: ending what is due
 * every minute; every hour ending old messages of webhooks and old entries of the audit log, and sweeping files that nothing
 * names. Who does it has begun last, by a row of `chores`. If that one dies, nothing is half done, and another begins when it is
 * due again. Each goes on until nothing is left, however much came since.
 */
import { lt, sql } from "drizzle-orm";
import type { Log } from "../../schema/log.ts";
import { chores } from "../../schema/service-tables.ts";
import { datasets } from "../../schema/tables.ts";
import { endOld } from "../audit/log.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Database } from "../postgres/database.ts";
import { secondsFromStart } from "../postgres/times.ts";
import { limitTeller } from "../queue/told-limit.ts";
import type { MostRuns } from "../queue/turns.ts";
import { endMessages } from "../webhooks/outbox.ts";
import { endDue } from "./due.ts";
import { type SweepReport, sweep } from "./sweep.ts";

/** How often a process looks whether something is to be done. */
const lookMs = 60_000;
/** What is due ends within this time, or has its turn when it is begun again. */
const endingMs = 45_000;
const hourS = 3_600;

export interface Chores {
  /** Called often; returns at once. */
  begin(): void;
  /** Once nothing uses the database any more. */
  ended(): Promise<void>;
}

interface Terms {
  readonly over: AbortSignal;
  /** That entries of the audit log are kept; 0 for ever. */
  readonly auditDays: number;
  readonly mostRuns: MostRuns;
  readonly log: Log | undefined;
}

export function choresOf(database: Database, blobs: Blobs, { over, auditDays, mostRuns, log }: Terms): Chores {
  let looked = Number.NEGATIVE_INFINITY;
  let current: Promise<void> = Promise.resolve();
  const all = [
    ["The limit of runs at once could not be told.", limitTeller(database, mostRuns, log)],
    ["What is due could not be ended.", () => endIfDue(database, over, log)],
    ["Old messages of webhooks could not be deleted.", () => endMessagesIfDue(database, over, log)],
    ["Old entries of the audit log could not be deleted.", () => endEntriesIfDue(database, auditDays, over)],
    ["Stored files could not be swept.", () => sweepAndTell(database, blobs, over, log)],
  ] as const;
  const once = async (): Promise<void> => {
    for (const [failed, chore] of all) {
      // What fails is tried again when it is due again.
      await chore().catch((error: unknown) => {
        if (!over.aborted) log?.warn({ err: error }, failed);
      });
    }
  };
  return {
    begin() {
      if (over.aborted || performance.now() - looked < lookMs) return;
      looked = performance.now();
      current = current.then(once);
    },
    ended: () => current,
  };
}

/** Whether it is this process' turn: nobody has begun it for that long. */
async function claim(database: Database, name: string, everyS: number): Promise<boolean> {
  const again = { target: chores.name, set: { begunAt: sql`now()` } };
  const before = lt(chores.begunAt, secondsFromStart(-everyS));
  const mine = await database
    .insert(chores)
    .values({ name })
    .onConflictDoUpdate({ ...again, setWhere: before })
    .returning();
  return mine.length > 0;
}

async function endIfDue(database: Database, over: AbortSignal, log: Log | undefined): Promise<void> {
  // A little less than the looks, so that the one who looks first does it each time.
  if (!(await claim(database, "end", lookMs / 1_000 - 5))) return;
  const signal = AbortSignal.any([over, AbortSignal.timeout(endingMs)]);
  const { ended, held } = await endDue(database, { dryRun: false, signal });
  const held_by = held.map(({ kind, id, by }) => ({ kind, id, by }));
  if (ended.length + held.length > 0) log?.info({ ended: ended.length, held: held_by }, "Deleted what was due.");
}

async function endMessagesIfDue(database: Database, over: AbortSignal, log: Log | undefined): Promise<void> {
  if (!(await claim(database, "webhooks", hourS))) return;
  const ended = await endMessages(database, over);
  if (ended > 0) log?.info({ ended }, "Deleted old messages of webhooks.");
}

async function endEntriesIfDue(database: Database, days: number, over: AbortSignal): Promise<void> {
  if (days > 0 && (await claim(database, "audit", hourS))) await endOld(database, days, over);
}

async function sweepAndTell(database: Database, blobs: Blobs, over: AbortSignal, log: Log | undefined): Promise<void> {
  const report = await sweepIfDue(database, blobs, over);
  if (report && report.swept.count > 0) log?.info(report, "Deleted stored files that nothing names.");
}

/**
 * Sweeps if nobody has for an hour. A database without a dataset sweeps nothing: it may be a new one, beside the files of
 * another that is to be restored.
 */
export async function sweepIfDue(database: Database, blobs: Blobs, signal: AbortSignal): Promise<SweepReport | null> {
  const [used] = await database.select({ id: datasets.id }).from(datasets).limit(1);
  if (!used || !(await claim(database, "sweep", hourS))) return null;
  return sweep(database, blobs, { dryRun: false, signal });
}
