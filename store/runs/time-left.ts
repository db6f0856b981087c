/**
 * When a run will have ended, in seconds from now: what is left of its training (pace.ts), and, while it waits, what comes
 * before it. A run that has not made a step yet has the pace of the last one like it: of the same project, model, rows and
 * settings, but for those that do not change how long a step takes. Null where any of it is not known.
 */
import { and, asc, desc, eq, gt, gte, ne, sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import { paceless } from "../../schema/estimate.ts";
import { settingsOf } from "../../schema/hyperparameters.ts";
import { isFinal } from "../../schema/states.ts";
import { type FineTune, checkpoints, evaluations, fineTunes, stepMetrics } from "../../schema/tables.ts";
import { type Database, isUuid, only } from "../postgres/database.ts";
import type { MostRuns } from "../queue/turns.ts";
import { freeJob } from "../queue/waiting.ts";
import { type HeldJob, waitForTurn } from "../queue/foresight.ts";
import { trainedSeconds } from "./logs.ts";
import { type Measured, type Pace, type Position, paceOf, secondsLeft } from "./pace.ts";

/** Null also for a run that is paused, has ended, or does not exist. */
export async function timeLeft(database: Database, id: string, mostRuns: MostRuns): Promise<number | null> {
  const run = await runOf(database, id);
  if (!run || isFinal(run.status) || run.status === "PAUSED") return null;
  const job = await freeJob(database, "FINE_TUNE", id);
  const own = await trainingLeft(database, run, job === null);
  if (job === null || own === null) return own;
  const wait = await waitForTurn(database, job, mostRuns, (one, isHeld) => secondsOfJob(database, one, isHeld));
  return wait === null ? null : Math.max(wait, (job.waitsMs ?? 0) / 1000) + own;
}

async function runOf(database: Database, id: string): Promise<FineTune | null> {
  if (!isUuid(id)) return null;
  const [run] = await database.select().from(fineTunes).where(eq(fineTunes.id, id));
  return run ?? null;
}

// The run itself

/** @param isHeld whether a worker trains it */
async function trainingLeft(database: Database, run: FineTune, isHeld: boolean): Promise<number | null> {
  const settings = settingsOf(run);
  const measured = await measuredOf(database, run);
  const known = await paceFor(database, run, measured);
  if (!known) return null;
  const position: Position = {
    settings,
    stepsDone: run.stepsDone,
    validates: run.validationDatasetId !== null,
    tests: run.testDatasetId !== null,
    evaluated: measured.evaluations,
    trainedSeconds: settings.maxSeconds > 0 ? await trainedSeconds(database, run.id) : 0,
  };
  const left = secondsLeft(position, known.pace, isHeld ? measured.secondsAgo : 0);
  return left === null ? null : left + (run.stepsDone === 0 && measured.evaluations.length === 0 ? known.loading : 0);
}

interface MeasuredRun extends Measured {
  /** Since the last of these was stored; 0 without any. */
  readonly secondsAgo: number;
}

/** Of the last steps of a run, the part that its pace is taken from: recent, and enough of them to even out long rows. */
const recentSteps = { part: 1 / 4, least: 50, most: 500 } as const;

async function measuredOf(database: Database, run: FineTune): Promise<MeasuredRun> {
  const { part, least, most } = recentSteps;
  const after = run.stepsDone - Math.min(Math.max(Math.ceil(run.stepsDone * part), least), most);
  const mine = (column: AnyPgColumn) => eq(column, run.id);
  const [steps, measured, made] = await Promise.all([
    database
      .select({ step: stepMetrics.step, seconds: stepMetrics.seconds, at: stepMetrics.at })
      .from(stepMetrics)
      .where(and(mine(stepMetrics.fineTuneId), gt(stepMetrics.step, after)))
      .orderBy(asc(stepMetrics.step)),
    database.select().from(evaluations).where(mine(evaluations.fineTuneId)).orderBy(asc(evaluations.step)),
    database
      .select({ step: checkpoints.step, seconds: checkpoints.seconds, at: checkpoints.createdAt })
      .from(checkpoints)
      .where(mine(checkpoints.fineTuneId))
      .orderBy(asc(checkpoints.step)),
  ]);
  const last = Math.max(0, ...[steps, measured, made].flatMap((rows) => rows.at(-1)?.at.getTime() ?? []));
  const now = only(
    await database.execute<{ ms: number }>(sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`),
  );
  const secondsAgo = last === 0 ? 0 : Math.max(0, (now.ms - last) / 1000);
  return { steps, evaluations: measured, checkpoints: made, secondsAgo };
}

interface KnownPace {
  readonly pace: Pace;
  /** Seconds from the claim to the first that is measured: reading the model, choosing the rate. */
  readonly loading: number;
}

/** Its own from its first steps on, and before that of the last run like it. */
async function paceFor(database: Database, run: FineTune, measured: Measured): Promise<KnownPace | null> {
  const own = run.stepsDone > 0 ? paceOf(measured, settingsOf(run)) : null;
  if (own) return { pace: own, loading: 0 };
  const like = await runLike(database, run);
  if (!like) return null;
  const pace = paceOf(await measuredOf(database, like), settingsOf(like));
  return pace && { pace, loading: await loadingOf(database, like) };
}

/** Steps of a run from which another takes its pace. */
const leastSteps = 10;

async function runLike(database: Database, run: FineTune): Promise<FineTune | null> {
  const same = (column: AnyPgColumn, value: unknown) => sql`${column} is not distinct from ${value}`;
  const names = sql`${sql.param(`{${[...paceless].join(",")}}`)}::text[]`;
  const alike = (column: AnyPgColumn, value: unknown) =>
    sql`coalesce(${column}, '{}'::jsonb) - ${names} = ${JSON.stringify(value ?? {})}::jsonb - ${names}`;
  const inputs = [
    eq(fineTunes.projectId, run.projectId),
    eq(fineTunes.baseModelId, run.baseModelId),
    eq(fineTunes.datasetId, run.datasetId),
    same(fineTunes.validationDatasetId, run.validationDatasetId),
    same(fineTunes.testDatasetId, run.testDatasetId),
    same(fineTunes.calibrationPrompt, run.calibrationPrompt),
    sql`${fineTunes.labelWords} = ${JSON.stringify(run.labelWords)}::jsonb`,
    alike(fineTunes.hyperparameters, run.hyperparameters),
    alike(fineTunes.lateSettings, run.lateSettings),
  ];
  const [like] = await database
    .select()
    .from(fineTunes)
    .where(and(...inputs, ne(fineTunes.id, run.id), gte(fineTunes.stepsDone, leastSteps)))
    .orderBy(desc(fineTunes.startedAt))
    .limit(1);
  return like ?? null;
}

async function loadingOf(database: Database, { id }: FineTune): Promise<number> {
  const first = (table: typeof stepMetrics | typeof evaluations) =>
    sql`select at - coalesce(seconds, 0) * interval '1 second' as began from ${table} where ${eq(table.fineTuneId, id)} and step <= 1`;
  const [row] = await database.execute<{ seconds: number | null }>(sql`
    select extract(epoch from min(began) - (select started_at from ${fineTunes} where ${eq(fineTunes.id, id)}))::float8 as seconds
    from (${first(stepMetrics)} union all ${first(evaluations)}) as measured`);
  return Math.max(0, row?.seconds ?? 0);
}

// What comes before it

/** Infinity where it is not known. A measurement gives way to whatever waits. */
async function secondsOfJob(database: Database, { kind, subject }: HeldJob, isHeld: boolean): Promise<number> {
  if (kind === "MEASURE") return 0;
  const run = kind === "FINE_TUNE" ? await runOf(database, subject) : null;
  return (run && (await trainingLeft(database, run, isHeld))) ?? Infinity;
}
