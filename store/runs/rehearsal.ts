/**
 * Storing steps that no run has made, so that what it takes is measured with them: everything that an append of a run does, in a
 * transaction that is taken back. Nothing of it stays, and nobody is told.
 */
import { TransactionRollbackError, and, eq, isNull } from "drizzle-orm";
import { invariant } from "../../schema/errors.ts";
import { measurementSchema } from "../../schema/estimate.ts";
import { settingsToStore } from "../../schema/hyperparameters.ts";
import { type FineTune, type Job, datasets, fineTunes } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import { type Lease, lockJob } from "../queue/leases.ts";
import { type StepBatch, appendTo } from "./appends.ts";

/** @param lease of a measurement, whose training rows are a dataset's still; otherwise nothing is done */
export async function rehearseAppend(database: Database, lease: Lease, batch: StepBatch): Promise<void> {
  try {
    await database.transaction(async (tx) => {
      const job = await lockJob(tx, lease);
      const run = await standIn(tx, job);
      if (run) await appendTo(tx, { job, run }, fromStart(batch));
      tx.rollback();
    });
  } catch (error) {
    if (!(error instanceof TransactionRollbackError)) throw error;
  }
}

/** A run that the steps can belong to until the transaction ends. */
async function standIn(tx: Transaction, { kind, payload }: Job): Promise<FineTune | null> {
  invariant(kind === "MEASURE", "only the steps of a measurement are taken back");
  const { baseModelId, training, labelWords, hyperparameters } = measurementSchema.parse(payload);
  const ofRows = and(eq(datasets.sha256, training), isNull(datasets.deletedAt));
  const [dataset] = await tx.select().from(datasets).where(ofRows).limit(1);
  if (!dataset) return null;
  const { id: datasetId, projectId } = dataset;
  const about = { projectId, name: "", inputHash: "", baseModelId, datasetId, labelWords };
  const log = { logHeader: new Uint8Array(), chain: new Uint8Array(32) };
  const made = { ...about, ...settingsToStore(hyperparameters), ...log };
  return only(await tx.insert(fineTunes).values(made).returning());
}

function fromStart(batch: StepBatch): StepBatch {
  return { ...batch, firstEntry: 0, metrics: batch.metrics.map((metric, at) => ({ ...metric, step: at + 1 })) };
}
