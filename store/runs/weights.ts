/**
 * The weights of a checkpoint as files. Whoever wants them requests them; a worker rebuilds them from the log (a MATERIALISE
 * job) and stores the files. QUEUED means that the job exists; the lock on the checkpoint's row keeps the two together.
 */
import { and, eq } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import { SteplogError, invariant } from "../../schema/errors.ts";
import {
  type Checkpoint,
  type Job,
  type WeightsFile,
  baseModels,
  checkpoints,
  fineTunes,
} from "../../schema/tables.ts";
import { type WantedKeep, isStale, wantedSeconds } from "../ends/expiry.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { secondsFromStart } from "../postgres/times.ts";
import { refuseRebuild, useBytes } from "../projects/quotas.ts";
import type { JobHooks } from "../queue/claimers.ts";
import { addJob, finishJob } from "../queue/jobs.ts";
import { type Lease, lockJob } from "../queue/leases.ts";
import { announceCheckpoint } from "../webhooks/announce.ts";

export type MaterialiseOutcome = { readonly weightsFiles: readonly WeightsFile[] } | { readonly error: string };

export interface Weights {
  /** Stores the outcome of a MATERIALISE job and ends it. */
  finishMaterialise(job: Lease, outcome: MaterialiseOutcome): Promise<void>;
}

export function weightsOf(database: Database): Weights {
  return {
    finishMaterialise: (lease, outcome) => database.transaction((tx) => finishMaterialise(tx, lease, outcome)),
  };
}

/** The checkpoint stays QUEUED from the request to the end of the job, whoever claims or releases that. */
export const materialiseJobs: JobHooks = {
  waits: tellWhy,
  async failed(tx, job, message) {
    await tellWhy(tx, job, message);
    return "repeat";
  },
};

async function tellWhy(tx: Transaction, { subject }: Job, weightsError: string): Promise<void> {
  const here = eq(checkpoints.id, subject);
  const { fineTuneId } = only(await tx.update(checkpoints).set({ weightsError }).where(here).returning());
  await wakeWatchers(tx, fineTuneId);
}

const { weightsKeepSeconds, weightsExpiresAt } = checkpoints;
const renewed = { weightsExpiresAt: secondsFromStart(weightsKeepSeconds) };

/** NONE or FAILED becomes QUEUED with a job; for QUEUED and STORED it counts as a use. @throws NOT_FOUND; QUOTA_EXCEEDED */
export async function requestWeights(tx: Transaction, id: string, keep: WantedKeep): Promise<Checkpoint> {
  const here = eq(checkpoints.id, id);
  const [checkpoint] = isUuid(id) ? await tx.select().from(checkpoints).where(here).for("no key update") : [];
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(id)}.`);
  const isThere = checkpoint.weightsStatus === "QUEUED" || checkpoint.weightsStatus === "STORED";
  const rebuild = await rebuildOf(tx, checkpoint);
  if (!isThere || keep.keepSeconds != null) {
    const seconds = { weightsKeepSeconds: wantedSeconds(rebuild.projectId, keep) };
    await tx.update(checkpoints).set(seconds).where(here);
  }
  if (isThere) return only(await tx.update(checkpoints).set(renewed).where(here).returning());
  await addJob(tx, { kind: "MATERIALISE", subject: id, ...rebuild });
  await wakeWatchers(tx, checkpoint.fineTuneId);
  const change = { weightsStatus: "QUEUED" as const, weightsError: null, ...renewed };
  const queued = only(await tx.update(checkpoints).set(change).where(here).returning());
  await refuseRebuild(tx, rebuild.projectId);
  return queued;
}

/** Says that stored weights are used now: they stay for longer. */
export async function useWeights(database: Database, id: string): Promise<void> {
  const here = and(eq(checkpoints.id, id), isStale(weightsKeepSeconds, weightsExpiresAt));
  await database.update(checkpoints).set(renewed).where(here);
}

/** For whom a job rebuilds, and what it needs: it reads the base in pieces, so it needs no memory for the whole. */
export async function rebuildOf(
  tx: Transaction,
  { fineTuneId }: Checkpoint,
): Promise<Pick<Job, "projectId" | "needs">> {
  const { name, hash, family } = baseModels;
  const { projectId, ...model } = only(
    await tx
      .select({ name, hash, family, projectId: fineTunes.projectId })
      .from(fineTunes)
      .innerJoin(baseModels, eq(baseModels.id, fineTunes.baseModelId))
      .where(eq(fineTunes.id, fineTuneId)),
  );
  return { projectId, needs: { models: [{ name: model.name, hash: model.hash }], families: [model.family] } };
}

async function finishMaterialise(tx: Transaction, lease: Lease, outcome: MaterialiseOutcome): Promise<void> {
  const job = await lockJob(tx, lease);
  invariant(job.kind === "MATERIALISE", `job ${job.id} rebuilds weights`);
  const here = eq(checkpoints.id, job.subject);
  const set = async (change: PgUpdateSetSource<typeof checkpoints>) =>
    only(await tx.update(checkpoints).set(change).where(here).returning());
  const failed = (weightsError: string) => set({ ...noWeights, weightsStatus: "FAILED", weightsError });
  let checkpoint =
    "error" in outcome
      ? await failed(outcome.error)
      : await set({ weightsError: null, ...storedWeights(outcome.weightsFiles), ...renewed });
  // They may be larger than they were thought to be, and the quota smaller than it was.
  const beyond = "error" in outcome ? null : await useBytes(tx, job.projectId, checkpoint.weightsBytes ?? 0);
  if (beyond) checkpoint = await failed(`${beyond.code}: ${beyond.message}`);
  await finishJob(tx, lease);
  const { weightsStatus: status, fineTuneId } = checkpoint;
  await announceCheckpoint(tx, checkpoint, status === "FAILED" ? "weights_failed" : "weights_stored");
  await wakeWatchers(tx, fineTuneId);
}

/** Of a checkpoint without stored weights. */
export const noWeights = {
  weightsStatus: "NONE",
  weightsFiles: null,
  weightsBlob: null,
  weightsBytes: null,
  weightsError: null,
  weightsKeepSeconds: null,
  weightsExpiresAt: null,
} as const;

/** Columns of a checkpoint whose weights are stored. */
export function storedWeights(weightsFiles: readonly WeightsFile[]) {
  const [first, ...others] = weightsFiles.filter(({ name }) => name.endsWith(".safetensors"));
  return {
    weightsStatus: "STORED" as const,
    weightsFiles,
    weightsBlob: first && others.length === 0 ? first.sha256 : null,
    weightsBytes: bytesOf(weightsFiles),
  };
}

export function bytesOf(files: readonly WeightsFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
