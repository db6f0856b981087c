/**
 * Deleting runs, checkpoints and stored weights. What others stand on stays: a fork has its first entries in the log of the run
 * that it continues from, and an alias answers with what it points at. Completions and evaluations of a checkpoint go with it;
 * those of other projects with which it is shared hold it until they have ended, and their webhooks hear of what goes.
 *
 * Jobs are locked before their subjects, as workers do; a worker whose job is gone finds its lease lost, and stops.
 */
import { type SQL, and, asc, eq, inArray, ne, or, sql } from "drizzle-orm";
import { checkpointExports } from "../../schema/export-tables.ts";
import { SteplogError } from "../../schema/errors.ts";
import { shares } from "../../schema/project-tables.ts";
import { aliasMoves, completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { isFinal } from "../../schema/states.ts";
import { type Checkpoint, type FineTune, checkpoints, fineTunes, jobs } from "../../schema/tables.ts";
import { type Transaction, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers, wakeWatchersOf } from "../postgres/notify.ts";
import { lockRun } from "../runs/lifecycle.ts";
import { audit } from "../audit/audit.ts";
import { announceCheckpoint, announceEvaluation, announceRun } from "../webhooks/announce.ts";
import { dropUnnamed } from "./datasets.ts";
import { refuseIfHeld } from "./holders.ts";
import { refuseIfOthersAsk } from "./others-work.ts";
import { noWeights } from "../runs/weights.ts";
import { tellWeightsDeleted } from "./weights.ts";

export interface RunDeletion {
  /** Whether a run that is being trained ends thereby. */
  readonly cancel: boolean;
  readonly unless?: Unless;
}

/** Asked once what is to be deleted is locked; if it throws, nothing is. */
export type Unless = (run: FineTune, places: readonly Checkpoint[]) => Promise<void>;

/** False if there is none. @throws INVALID_STATE for a running one, without `cancel`; CONFLICT naming what stands on it */
export async function deleteRun(tx: Transaction, id: string, { cancel, unless }: RunDeletion): Promise<boolean> {
  if (!isUuid(id)) return false;
  const ofRun = eq(checkpoints.fineTuneId, id);
  await withdrawJobs(tx, ofRun, and(eq(jobs.kind, "FINE_TUNE"), eq(jobs.subject, id)));
  const [run] = await tx.select().from(fineTunes).where(eq(fineTunes.id, id)).for("update");
  if (!run) return false;
  if (run.status === "RUNNING" && !cancel) throw stillRuns(run);
  const places = await lockCheckpoints(tx, ofRun);
  await unless?.(run, places);
  await refuseIfHeld(tx, run, places);
  await refuseIfOthersAsk(tx, run, places);
  await leave(tx, run, places);
  await tx.update(fineTunes).set({ wentBackFrom: null }).where(eq(fineTunes.wentBackFrom, id));
  await tx.delete(fineTunes).where(eq(fineTunes.id, id));
  const details = { status: run.status, steps: run.stepsDone };
  await audit(tx, { projectId: run.projectId, action: "fine_tune.deleted", object: run, details });
  await announceRun(tx, run, "deleted");
  await dropUnnamed(tx, [run.datasetId, run.validationDatasetId, run.testDatasetId]);
  return true;
}

function stillRuns({ name }: FineTune): SteplogError {
  const advice = "Cancel it first and delete it once it has stopped, or delete it with `cancel`.";
  return new SteplogError("INVALID_STATE", `The fine-tune ${JSON.stringify(name)} is being trained. ${advice}`);
}

/** False if there is none. @throws INVALID_STATE while its run goes on; CONFLICT naming what stands on it */
export async function deleteCheckpoint(tx: Transaction, id: string, unless?: Unless): Promise<boolean> {
  if (!isUuid(id)) return false;
  const here = eq(checkpoints.id, id);
  await withdrawJobs(tx, here);
  const [found] = await tx.select().from(checkpoints).where(here);
  if (!found) return false;
  const run = await lockRun(tx, found.fineTuneId);
  if (!isFinal(run.status)) throw mayNeedIt(run);
  const places = await lockCheckpoints(tx, here);
  await unless?.(run, places);
  await refuseIfHeld(tx, run, places);
  await refuseIfOthersAsk(tx, run, places);
  await leave(tx, run, places);
  await tx.delete(checkpoints).where(here);
  for (const place of places) {
    const object = { id: place.id, name: run.name };
    const details = { step: place.step };
    await audit(tx, { projectId: run.projectId, action: "checkpoint.deleted", object, details });
    await announceCheckpoint(tx, place, "deleted");
  }
  await wakeWatchers(tx, run.id);
  return places.length > 0;
}

function mayNeedIt({ name, status }: FineTune): SteplogError {
  const seen = `The fine-tune ${JSON.stringify(name)} is ${status}, and may still need its checkpoints`;
  return new SteplogError(
    "INVALID_STATE",
    `${seen}. Delete them once it has ended. Stored weights can go at any time.`,
  );
}

/** Back to a checkpoint without stored weights or exports, which can be requested again. @throws NOT_FOUND */
export async function deleteWeights(tx: Transaction, id: string): Promise<Checkpoint> {
  const here = eq(checkpoints.id, id);
  if (isUuid(id)) await tx.delete(jobs).where(inArray(jobs.id, lockedJobs(tx, rebuilds(here))));
  const [checkpoint] = isUuid(id) ? await lockCheckpoints(tx, here) : [];
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(id)}.`);
  await tx.delete(jobs).where(rebuilds(here));
  const others = await tx
    .delete(checkpointExports)
    .where(eq(checkpointExports.checkpointId, id))
    .returning({ status: checkpointExports.status });
  await wakeWatchers(tx, checkpoint.fineTuneId);
  const left = only(await tx.update(checkpoints).set(noWeights).where(here).returning());
  const hadNone = checkpoint.weightsStatus === "NONE" && others.length === 0;
  if (!hadNone) await tellWeightsDeleted(tx, left, { exports: others.length });
  return left;
}

/** Ends the jobs about checkpoints, and `more`. Whoever watches what they are about hears of it. */
async function withdrawJobs(tx: Transaction, which: SQL, more?: SQL): Promise<void> {
  const its = sql`(select ${checkpoints.id} from ${checkpoints} where ${which})`;
  const answers = (kind: "COMPLETE" | "EVALUATE", table: typeof completions | typeof modelEvaluations) =>
    and(
      eq(jobs.kind, kind),
      sql`${jobs.subject} in (select ${table.id}::text from ${table} where ${table.checkpointId} in ${its})`,
    );
  const all = or(rebuilds(which), answers("COMPLETE", completions), answers("EVALUATE", modelEvaluations), more);
  const gone = await tx
    .delete(jobs)
    .where(inArray(jobs.id, lockedJobs(tx, all)))
    .returning({ subject: jobs.subject });
  await wakeWatchersOf(
    tx,
    gone.map(({ subject }) => subject).filter((subject) => isUuid(subject)),
  );
}

/** Jobs that make files of checkpoints: of an export, the form follows the id. */
function rebuilds(which: SQL): SQL | undefined {
  const its = sql`(select ${checkpoints.id}::text from ${checkpoints} where ${which})`;
  return and(inArray(jobs.kind, ["MATERIALISE", "EXPORT"]), sql`split_part(${jobs.subject}, '/', 1) in ${its}`);
}

/** In order of id, as everybody locks them. */
function lockedJobs(tx: Transaction, which: SQL | undefined) {
  return tx.select({ id: jobs.id }).from(jobs).where(which).orderBy(asc(jobs.id)).for("update");
}

/** Locked so that nothing new can refer to them. */
function lockCheckpoints(tx: Transaction, which: SQL): Promise<Checkpoint[]> {
  return tx.select().from(checkpoints).where(which).orderBy(asc(checkpoints.id)).for("update");
}

/** What refers to checkpoints and need not hold them: ended evaluations of others, where aliases once pointed, what is shared. */
async function leave(tx: Transaction, run: FineTune, places: readonly Checkpoint[]): Promise<void> {
  const ids = places.map(({ id }) => id);
  const ofOthers = and(inArray(modelEvaluations.checkpointId, ids), ne(modelEvaluations.projectId, run.projectId));
  const evaluations = await tx.delete(modelEvaluations).where(ofOthers).returning();
  for (const gone of evaluations) await announceEvaluation(tx, gone, "deleted");
  await dropUnnamed(
    tx,
    evaluations.map(({ datasetId }) => datasetId),
  );
  await tx.delete(aliasMoves).where(inArray(aliasMoves.checkpointId, ids));
  await tx.delete(shares).where(and(eq(shares.kind, "CHECKPOINT"), inArray(shares.objectId, ids)));
  // Jobs that came before the checkpoints were locked.
  await tx.delete(jobs).where(rebuilds(inArray(checkpoints.id, ids)));
}
