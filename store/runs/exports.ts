/**
 * The weights of a checkpoint in other forms: merged into the base, or in another dtype (schema/weights-form.ts). As with the
 * weights as they were trained (weights.ts), whoever wants a form requests it, and an EXPORT job makes its files. QUEUED means
 * that the job exists; the lock on the export's row keeps the two together.
 */
import { and, asc, eq } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { type CheckpointExport, checkpointExports } from "../../schema/export-tables.ts";
import { type Checkpoint, type FineTune, type WeightsFile, checkpoints, fineTunes } from "../../schema/tables.ts";
import { type WeightsForm, formName, formOf } from "../../schema/weights-form.ts";
import { type WantedKeep, isStale, wantedSeconds } from "../ends/expiry.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { secondsFromStart } from "../postgres/times.ts";
import { refuseRebuild, useBytes } from "../projects/quotas.ts";
import type { JobHooks } from "../queue/claimers.ts";
import { addJob, finishJob } from "../queue/jobs.ts";
import { type Lease, lockJob } from "../queue/leases.ts";
import { whyJobWaits } from "../queue/waiting.ts";
import { announceCheckpoint } from "../webhooks/announce.ts";
import { bytesOf, rebuildOf } from "./weights.ts";

export interface Exports {
  /**
   * Has a worker make the files of a form, unless they are stored or already queued; that they were asked for counts as a use.
   * @throws NOT_FOUND; INVALID_ARGUMENT for a merge where the run trains no LoRA adapter;
   * QUOTA_EXCEEDED
   */
  request(checkpointId: string, form: WeightsForm, keep?: WantedKeep): Promise<CheckpointExport>;
  /** Says that its files are used now: they stay for longer. */
  used(one: CheckpointExport): Promise<void>;
  /** Null if nobody has asked for the form. */
  get(checkpointId: string, form: WeightsForm): Promise<CheckpointExport | null>;
  /** In the order in which they were asked for. */
  list(checkpointId: string): Promise<CheckpointExport[]>;
  /** Why no worker is making a form, for people; null while one is, and when it is not queued. */
  waitingReason(one: CheckpointExport): Promise<string | null>;
}

export type ExportOutcome = { readonly files: readonly WeightsFile[] } | { readonly error: string };

export interface ExportResults {
  /** Stores the outcome of an EXPORT job and ends it. */
  finishExport(job: Lease, outcome: ExportOutcome): Promise<void>;
}

const { keepSeconds, expiresAt } = checkpointExports;
const renewed = { expiresAt: secondsFromStart(keepSeconds) };

export function exportsOf(database: Database): Exports {
  return {
    request: (id, form, keep = {}) => database.transaction((tx) => request(tx, id, form, keep)),
    async used(one) {
      const here = and(keyOfExport(one.checkpointId, formOfRow(one)), isStale(keepSeconds, expiresAt));
      await database.update(checkpointExports).set(renewed).where(here);
    },
    async get(id, form) {
      if (!isUuid(id)) return null;
      const [found] = await database.select().from(checkpointExports).where(keyOfExport(id, form));
      return found ?? null;
    },
    list: async (id) =>
      database
        .select()
        .from(checkpointExports)
        .where(eq(checkpointExports.checkpointId, id))
        .orderBy(asc(checkpointExports.createdAt), asc(checkpointExports.merged), asc(checkpointExports.dtype)),
    waitingReason: (one) => whyJobWaits(database, "EXPORT", subjectOf(one.checkpointId, formOfRow(one))),
  };
}

export function exportResultsOf(database: Database): ExportResults {
  return { finishExport: (lease, outcome) => database.transaction((tx) => finish(tx, lease, outcome)) };
}

/** The export stays QUEUED from the request to the end of the job, whoever claims or releases that. */
export const exportJobs: JobHooks = {
  async waits(tx, job, error) {
    await update(tx, exportOfJob(job.subject), { error });
  },
  async failed(tx, job, error) {
    await update(tx, exportOfJob(job.subject), { error });
    return "repeat";
  },
};

export function formOfRow({ merged, dtype }: Pick<CheckpointExport, "merged" | "dtype">): WeightsForm {
  return { merged, dtype: dtype === "trained" ? null : dtype };
}

/** What an EXPORT job is about, by its subject. */
export function exportOfJob(subject: string): { readonly checkpointId: string; readonly form: WeightsForm } {
  const [checkpointId = "", name = ""] = subject.split("/");
  const form = formOf(name);
  invariant(form, `${subject} is a checkpoint and a form`);
  return { checkpointId, form };
}

function subjectOf(checkpointId: string, form: WeightsForm): string {
  return `${checkpointId}/${formName(form)}`;
}

export function keyOfExport(checkpointId: string, { merged, dtype }: WeightsForm) {
  const { checkpointId: id, merged: isMerged, dtype: named } = checkpointExports;
  return and(eq(id, checkpointId), eq(isMerged, merged), eq(named, dtype ?? "trained"));
}

async function request(tx: Transaction, id: string, form: WeightsForm, keep: WantedKeep): Promise<CheckpointExport> {
  const { checkpoint, run } = await checkpointAndRun(tx, id);
  if (form.merged) refuseMerge(run);
  const key = { checkpointId: id, merged: form.merged, dtype: form.dtype ?? ("trained" as const) };
  const [added] = await tx
    .insert(checkpointExports)
    .values({ ...key, status: "QUEUED", keepSeconds: wantedSeconds(run.projectId, keep) })
    .onConflictDoNothing()
    .returning();
  const found = added ?? only(await tx.select().from(checkpointExports).where(keyOfExport(id, form)).for("update"));
  if (keep.keepSeconds != null)
    await update(tx, { checkpointId: id, form }, { keepSeconds: wantedSeconds(run.projectId, keep) });
  if (!added && found.status !== "FAILED") return update(tx, { checkpointId: id, form }, renewed);
  await addJob(tx, { kind: "EXPORT", subject: subjectOf(id, form), ...(await rebuildOf(tx, checkpoint)) });
  const queued = await update(tx, { checkpointId: id, form }, { status: "QUEUED", error: null, ...renewed });
  await refuseRebuild(tx, run.projectId);
  return queued;
}

async function checkpointAndRun(tx: Transaction, id: string): Promise<{ checkpoint: Checkpoint; run: FineTune }> {
  const [found] = isUuid(id)
    ? await tx
        .select({ checkpoint: checkpoints, run: fineTunes })
        .from(checkpoints)
        .innerJoin(fineTunes, eq(fineTunes.id, checkpoints.fineTuneId))
        .where(eq(checkpoints.id, id))
    : [];
  if (found) return found;
  throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(id)}.`);
}

function refuseMerge({ hyperparameters: { method } }: FineTune): void {
  if (method === "LORA") return;
  const what = method === "PREFIX" ? "a prefix, which cannot be merged into weights" : "weights of the model itself";
  const message = `the run trains ${what}; only a LoRA adapter can be merged`;
  throw new SteplogError("INVALID_ARGUMENT", `There is nothing to merge: ${message}.`, [{ field: "merged", message }]);
}

type ExportKey = ReturnType<typeof exportOfJob>;

/** Changes the row, and tells those who watch its run. */
async function update(
  tx: Transaction,
  { checkpointId, form }: ExportKey,
  change: PgUpdateSetSource<typeof checkpointExports>,
): Promise<CheckpointExport> {
  const row = only(await tx.update(checkpointExports).set(change).where(keyOfExport(checkpointId, form)).returning());
  const run = { id: checkpoints.fineTuneId };
  await wakeWatchers(tx, only(await tx.select(run).from(checkpoints).where(eq(checkpoints.id, checkpointId))).id);
  return row;
}

async function finish(tx: Transaction, lease: Lease, outcome: ExportOutcome): Promise<void> {
  const job = await lockJob(tx, lease);
  invariant(job.kind === "EXPORT", `job ${job.id} makes an export`);
  const key = exportOfJob(job.subject);
  const failed = (error: string) => update(tx, key, { status: "FAILED", error, files: null, ...renewed });
  let { status } =
    "error" in outcome
      ? await failed(outcome.error)
      : await update(tx, key, { status: "STORED", error: null, files: outcome.files, ...renewed });
  const beyond = "error" in outcome ? null : await useBytes(tx, job.projectId, bytesOf(outcome.files));
  if (beyond) ({ status } = await failed(`${beyond.code}: ${beyond.message}`));
  await finishJob(tx, lease);
  const { checkpoint } = await checkpointAndRun(tx, key.checkpointId);
  const what = status === "FAILED" ? "export_failed" : "export_stored";
  await announceCheckpoint(tx, checkpoint, what, { export: { ...key.form, status } });
}
