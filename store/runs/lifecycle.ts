/** What a worker says of a run besides its steps: measurements, checkpoints, moments, and how it ended. */
import { and, eq, sql } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { fineTuneTransitions } from "../../schema/states.ts";
import { type Checkpoint, type WeightsFile, checkpoints, evaluations, fineTunes, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import { holdLease, holdRun, holdTraining, jobOf } from "../queue/leases.ts";
import { tell, wakeWatchers } from "./events.ts";
import type { FineTuneOutcome, Lease, MaterialiseOutcome, NewCheckpoint, NewEvaluation, Store } from "../types.ts";
import type { Log } from "../../schema/log.ts";

type Outcomes = Pick<
  Store,
  "recordEvaluation" | "recordCheckpoint" | "recordEvent" | "finishFineTune" | "finishMaterialise"
>;

export function outcomesOf(database: Database, log: Log | undefined): Outcomes {
  return {
    recordEvaluation: (lease, evaluation) => database.transaction((tx) => recordEvaluation(tx, lease, evaluation)),
    recordCheckpoint: (lease, checkpoint) => database.transaction((tx) => recordCheckpoint(tx, lease, checkpoint, log)),
    recordEvent: (lease, event) => database.transaction((tx) => recordEvent(tx, lease, event)),
    finishFineTune: (lease, outcome) => database.transaction((tx) => finishFineTune(tx, lease, outcome)),
    finishMaterialise: (lease, outcome) => database.transaction((tx) => finishMaterialise(tx, lease, outcome)),
  };
}

/** A worker that took over may measure a place again; the first measurement stands. */
async function recordEvaluation(tx: Transaction, lease: Lease, evaluation: NewEvaluation): Promise<void> {
  const run = await holdTraining(tx, lease);
  await tx
    .insert(evaluations)
    .values({ fineTuneId: run.id, ...evaluation })
    .onConflictDoNothing();
  await wakeWatchers(tx, run.id);
}

async function recordEvent(tx: Transaction, lease: Lease, event: { type: string; message: string }): Promise<void> {
  const run = await holdRun(tx, await holdLease(tx, lease));
  await tell(tx, run.id, event.type, event.message);
  await wakeWatchers(tx, run.id);
}

// Checkpoints

async function recordCheckpoint(
  tx: Transaction,
  lease: Lease,
  { weightsFiles = [], ...place }: NewCheckpoint,
  log: Log | undefined,
): Promise<Checkpoint> {
  const run = await holdTraining(tx, lease);
  if (place.entries > run.entries) {
    throw new SteplogError(
      "INVALID_STATE",
      `The log ends at ${run.entries}, before the checkpoint at ${place.entries}.`,
    );
  }
  await tx
    .insert(checkpoints)
    .values({ fineTuneId: run.id, ...place })
    .onConflictDoNothing();
  const here = and(eq(checkpoints.fineTuneId, run.id), eq(checkpoints.entries, place.entries));
  const checkpoint = only(await tx.select().from(checkpoints).where(here).for("no key update"));
  refuseOther(checkpoint, place, log);
  await wakeWatchers(tx, run.id);
  if (weightsFiles.length === 0 || checkpoint.weightsStatus !== "NONE") return checkpoint;
  return only(await tx.update(checkpoints).set(storedAs(weightsFiles)).where(here).returning());
}

function storedAs(weightsFiles: readonly WeightsFile[]) {
  const [first, ...others] = weightsFiles.filter(({ name }) => name.endsWith(".safetensors"));
  return {
    weightsStatus: "STORED" as const,
    weightsFiles,
    weightsBlob: first && others.length === 0 ? first.sha256 : null,
    weightsBytes: weightsFiles.reduce((sum, file) => sum + file.bytes, 0),
  };
}

/** One place in one log has one set of weights. If not, the promise of the whole service is broken: say so loudly. */
function refuseOther(checkpoint: Checkpoint, place: NewCheckpoint, log: Log | undefined): void {
  const sameChain = Buffer.from(place.chain).equals(checkpoint.chain);
  if (sameChain && checkpoint.weightsDigest === place.weightsDigest) return;
  const seen = { fineTuneId: checkpoint.fineTuneId, entries: place.entries };
  const digests = { recorded: checkpoint.weightsDigest, measured: place.weightsDigest };
  log?.error({ ...seen, ...digests, sameChain }, "two workers got different weights from one log");
  throw new SteplogError(
    "INTERNAL",
    `At entry ${place.entries} of fine-tune ${checkpoint.fineTuneId} this worker has weights ${place.weightsDigest}, ` +
      `but ${checkpoint.weightsDigest} were recorded there${sameChain ? " for the same log" : " for another log"}. ` +
      "One of the two machines or builds computes wrongly.",
  );
}

// Ends

async function finishFineTune(tx: Transaction, lease: Lease, outcome: FineTuneOutcome): Promise<void> {
  const run = await holdTraining(tx, lease);
  invariant(fineTuneTransitions[run.status].includes(outcome.status), `${run.status} may become ${outcome.status}`);
  const error =
    outcome.status === "FAILED"
      ? { errorCode: outcome.code, errorMessage: outcome.message, errorIssues: outcome.issues }
      : {};
  await tell(tx, run.id, outcome.status, endInWords(outcome, run.stepsDone));
  const end = { status: outcome.status, finishedAt: sql`now()`, ...error };
  await tx.update(fineTunes).set(end).where(eq(fineTunes.id, run.id));
  await tx.delete(jobs).where(jobOf(lease));
  await wakeWatchers(tx, run.id);
}

function endInWords(outcome: FineTuneOutcome, steps: number): string {
  if (outcome.status === "FAILED") return outcome.message;
  return outcome.status === "SUCCEEDED" ? `Done after ${steps} steps.` : `Cancelled after ${steps} steps.`;
}

async function finishMaterialise(tx: Transaction, lease: Lease, outcome: MaterialiseOutcome): Promise<void> {
  const job = await holdLease(tx, lease);
  invariant(job.kind === "MATERIALISE" && job.checkpointId, `job ${job.id} rebuilds weights`);
  const result =
    "error" in outcome
      ? { weightsStatus: "FAILED" as const, weightsError: outcome.error }
      : { weightsError: null, ...storedAs(outcome.weightsFiles) };
  await tx.update(checkpoints).set(result).where(eq(checkpoints.id, job.checkpointId));
  await tx.delete(jobs).where(jobOf(lease));
  await wakeWatchers(tx, job.fineTuneId);
}
