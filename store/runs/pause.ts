/**
 * Pause and resume. A paused run has no job, so no worker finds it, of whatever release. Resumed, it has a new job, last in the
 * queue of its priority, and the next worker continues it from its log: the steps are those of a run that never paused.
 *
 * The worker that trains the run leaves it after the current step, with a checkpoint. If nobody holds the job, or a worker that
 * does not know what a pause is, the job is taken away at once: such a worker finds its lease lost with the next append, and
 * the steps since the last one are made again after the resume.
 */
import { eq } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { isFinal } from "../../schema/states.ts";
import { type FineTune, type Job, baseModels } from "../../schema/tables.ts";
import { type Transaction, only } from "../postgres/database.ts";
import { isHeld } from "../queue/claimable.ts";
import { lockJobAbout, withdrawJob } from "../queue/jobs.ts";
import { heeds } from "../queue/workers.ts";
import { addTrainingJob, move, pausedAfter } from "./lifecycle.ts";

/** Repeating it changes nothing. @throws INVALID_STATE, NOT_FOUND */
export async function pause(tx: Transaction, id: string): Promise<FineTune> {
  const job = await lockJobAbout(tx, "FINE_TUNE", id);
  const isLeft = await willLeave(tx, job);
  const run = await move(tx, id, (current) => {
    refuseEnd(current, "paused");
    const { status, wanted, startedAt, stepsDone } = current;
    if (status === "PAUSED" || (wanted === "PAUSE" && isLeft)) return null;
    const set = { wanted: "PAUSE" as const };
    if (status === "RUNNING" && isLeft) {
      return { to: "RUNNING", event: "PAUSE_REQUESTED", message: "Stops after the current step.", set };
    }
    if (startedAt !== null) return { ...pausedAfter(stepsDone), set };
    return { to: "PAUSED", event: "PAUSED", message: "Paused before it started.", set };
  });
  if (run.status === "PAUSED") await withdrawJob(tx, "FINE_TUNE", id);
  return run;
}

/** Whether a worker holds the job that leaves it by itself. */
async function willLeave(tx: Transaction, job: Job | null): Promise<boolean> {
  if (!job || job.leaseWorker === null || !(await isHeld(tx, job))) return false;
  return heeds(tx, job.leaseWorker, "PAUSE");
}

/** Repeating it changes nothing. @throws INVALID_STATE, NOT_FOUND */
export async function resume(tx: Transaction, id: string): Promise<FineTune> {
  await lockJobAbout(tx, "FINE_TUNE", id);
  let queues = false;
  const run = await move(tx, id, (current) => {
    refuseEnd(current, "resumed");
    const { status, wanted } = current;
    queues = status === "PAUSED";
    if (wanted !== "PAUSE") return null;
    const set = { wanted: "RUN" as const };
    if (queues) return { to: "QUEUED", event: "QUEUED", message: "Resumed: waiting for a worker.", set };
    return { to: status, event: "PAUSE_WITHDRAWN", message: "Goes on, by this worker or another one.", set };
  });
  if (queues)
    await addTrainingJob(tx, run, only(await tx.select().from(baseModels).where(eq(baseModels.id, run.baseModelId))));
  return run;
}

function refuseEnd({ status, wanted }: FineTune, done: string): void {
  if (isFinal(status)) throw new SteplogError("INVALID_STATE", `The fine-tune is ${status} and cannot be ${done}.`);
  if (wanted !== "CANCEL") return;
  throw new SteplogError("INVALID_STATE", `The fine-tune is about to be cancelled and cannot be ${done}.`);
}
