/** Submitting, finding and cancelling fine-tunes. What a run has logged and measured is read in logs.ts. */
import { createHash } from "node:crypto";
import { and, eq, inArray, sql } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { fineTuneTransitions } from "../../schema/states.ts";
import { canonicalJson } from "../../schema/step-log.ts";
import { type FineTune, baseModels, checkpoints, datasets, fineTunes, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { logReaders } from "./logs.ts";
import { pageOf } from "../pages.ts";
import { tell, wakeWatchers, wakeWorkers } from "./events.ts";
import type { Beginning, FineTunes, NewFineTune } from "../types.ts";

const keys = { table: fineTunes, sort: fineTunes.createdAt, id: fineTunes.id };

export function fineTunesOf(database: Database): FineTunes {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(fineTunes).where(inArray(fineTunes.id, wanted)));
  return {
    byIds,
    ...logReaders(database),
    create: (input) => database.transaction((tx) => create(tx, input)),
    get: async (id) => (await byIds([id]))[0] ?? null,
    cancel: (id) => database.transaction((tx) => cancel(tx, id)),
    async list({ status, ...page }) {
      const { where, order } = await pageOf(database, keys, page);
      if (status) where.push(eq(fineTunes.status, status));
      return database
        .select()
        .from(fineTunes)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}

// Create

async function create(tx: Transaction, input: NewFineTune): Promise<{ fineTune: FineTune; created: boolean }> {
  await requireRow(tx, baseModels, baseModels.id, input.baseModelId, "base model");
  await requireRow(tx, datasets, datasets.id, input.datasetId, "dataset");
  const judges = { "validation dataset": input.validationDatasetId, "test dataset": input.testDatasetId };
  for (const [noun, id] of Object.entries(judges)) {
    if (id !== null) await requireRow(tx, datasets, datasets.id, id, noun);
  }
  const { from = null, ...rest } = input;
  const wish = { ...rest, keepWeights: input.keepWeights ?? false };
  const inputHash = hashOf({ ...wish, ...(from && { from }) });
  const beginning = from ? await beginningOf(tx, from, input.baseModelId) : {};
  // A concurrent create with the same key is waited for here: then it is found below, or its place is ours.
  const [fineTune] = await tx
    .insert(fineTunes)
    .values({ ...wish, ...beginning, inputHash })
    .onConflictDoNothing({ target: fineTunes.idempotencyKey })
    .returning();
  if (!fineTune) return { fineTune: await sameWish(tx, input, inputHash), created: false };

  await tx.insert(jobs).values({ kind: "FINE_TUNE", fineTuneId: fineTune.id });
  await tell(tx, fineTune.id, "QUEUED", "Waits for a worker.");
  await wakeWatchers(tx, fineTune.id);
  await wakeWorkers(tx);
  return { fineTune, created: true };
}

/** The child's log is the parent's up to the checkpoint, by reference: nothing of it is copied but header and hash. */
async function beginningOf(tx: Transaction, { checkpointId, firstStep }: Beginning, baseModelId: string) {
  const here = eq(checkpoints.id, checkpointId);
  const [checkpoint] = isUuid(checkpointId) ? await tx.select().from(checkpoints).where(here).for("key share") : [];
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(checkpointId)}.`);
  const parent = only(await tx.select().from(fineTunes).where(eq(fineTunes.id, checkpoint.fineTuneId)));
  invariant(parent.baseModelId === baseModelId, "a fork has the base model of its checkpoint");
  const { entries, chain } = checkpoint;
  const place = { entries, chain, firstEntry: entries, logHeader: parent.logHeader };
  return { ...place, fromCheckpointId: checkpoint.id, firstStep };
}

/** The row stays until the transaction ends, so that what refers to it can. */
async function requireRow(tx: Transaction, table: PgTable, column: PgColumn, id: string, noun: string): Promise<void> {
  const found = isUuid(id) ? await tx.select({ id: column }).from(table).where(eq(column, id)).for("key share") : [];
  if (found.length === 0) throw new SteplogError("NOT_FOUND", `There is no ${noun} ${JSON.stringify(id)}.`);
}

function hashOf(input: NewFineTune): string {
  return createHash("sha256")
    .update(canonicalJson({ ...input, idempotencyKey: null }))
    .digest("hex");
}

async function sameWish(tx: Transaction, input: NewFineTune, inputHash: string): Promise<FineTune> {
  const key = input.idempotencyKey ?? "";
  const first = only(await tx.select().from(fineTunes).where(eq(fineTunes.idempotencyKey, key)));
  if (first.inputHash === inputHash) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key ${JSON.stringify(key)} was used for fine-tune ${first.id} with another input. ` +
      "Send the same input to get that one, or a new key for a new one.",
  );
}

// Cancel

/** Locks the job before the run, as every writer does, so that no two wait for each other. */
async function cancel(tx: Transaction, id: string): Promise<FineTune> {
  if (!isUuid(id)) throw notFound(id);
  const jobOfRun = and(eq(jobs.fineTuneId, id), eq(jobs.kind, "FINE_TUNE"));
  await tx.select({ id: jobs.id }).from(jobs).where(jobOfRun).for("update");
  const [fineTune] = await tx.select().from(fineTunes).where(eq(fineTunes.id, id)).for("no key update");
  if (!fineTune) throw notFound(id);
  if (fineTune.status === "CANCELLED" || fineTune.cancelRequested) return cancelledBefore(fineTune);
  if (!fineTuneTransitions[fineTune.status].includes("CANCELLED")) throw tooLate(fineTune);

  const queued = fineTune.status === "QUEUED";
  if (queued) {
    await tx.delete(jobs).where(jobOfRun);
    await tell(tx, id, "CANCELLED", "Cancelled before it began.");
  } else {
    await tell(tx, id, "CANCEL_REQUESTED", "Ends at its next step.");
  }
  const end = queued ? { status: "CANCELLED" as const, finishedAt: sql`now()` } : {};
  const change = { cancelRequested: true, ...end };
  const changed = only(await tx.update(fineTunes).set(change).where(eq(fineTunes.id, id)).returning());
  await wakeWatchers(tx, id);
  return changed;
}

/** A run that was asked to stop may still have ended otherwise. */
function cancelledBefore(fineTune: FineTune): FineTune {
  if (fineTune.status === "SUCCEEDED" || fineTune.status === "FAILED") throw tooLate(fineTune);
  return fineTune;
}

function tooLate(fineTune: FineTune): SteplogError {
  return new SteplogError("INVALID_STATE", `Fine-tune ${fineTune.id} is ${fineTune.status} and cannot be cancelled.`);
}

function notFound(id: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no fine-tune ${JSON.stringify(id)}.`);
}
