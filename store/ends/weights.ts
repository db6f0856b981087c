/** The end of stored weights that were not used for a while, one form at a time. The log rebuilds them, so nothing is lost. */
import { eq } from "drizzle-orm";
import { type CheckpointExport, checkpointExports } from "../../schema/export-tables.ts";
import { type Checkpoint, checkpoints, fineTunes } from "../../schema/tables.ts";
import type { AuditDetails } from "../../schema/audit.ts";
import { type WeightsForm, formName } from "../../schema/weights-form.ts";
import { audit } from "../audit/audit.ts";
import { type Transaction, only } from "../postgres/database.ts";
import { announceCheckpoint } from "../webhooks/announce.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { keyOfExport } from "../runs/exports.ts";
import { noWeights } from "../runs/weights.ts";

/** False if it is not there, or being made. @param unless asked once the row is locked */
export async function dropWeights(
  tx: Transaction,
  id: string,
  unless: (checkpoint: Checkpoint) => void,
): Promise<boolean> {
  const here = eq(checkpoints.id, id);
  const [checkpoint] = await tx.select().from(checkpoints).where(here).for("no key update");
  if (!checkpoint || checkpoint.weightsStatus === "QUEUED") return false;
  unless(checkpoint);
  const left = only(await tx.update(checkpoints).set(noWeights).where(here).returning());
  await tellWeightsDeleted(tx, left, { exports: 0 });
  await wakeWatchers(tx, checkpoint.fineTuneId);
  return true;
}

/** Whoever wants to know, and the audit log. @param exports how many other forms went; or the form of the only one */
export async function tellWeightsDeleted(
  tx: Transaction,
  checkpoint: Checkpoint,
  exports: AuditDetails,
): Promise<void> {
  const { name, projectId } = fineTunes;
  const ofIt = eq(fineTunes.id, checkpoint.fineTuneId);
  const run = only(await tx.select({ name, projectId }).from(fineTunes).where(ofIt));
  const object = { id: checkpoint.id, name: run.name };
  const details = { step: checkpoint.step, ...exports };
  await audit(tx, { projectId: run.projectId, action: "checkpoint.weights_deleted", object, details });
  await announceCheckpoint(tx, checkpoint, "weights_deleted");
}

/** As dropWeights. */
export async function dropExport(
  tx: Transaction,
  { checkpointId, form }: { readonly checkpointId: string; readonly form: WeightsForm },
  unless: (one: CheckpointExport) => void,
): Promise<boolean> {
  const here = keyOfExport(checkpointId, form);
  const [found] = await tx.select().from(checkpointExports).where(here).for("update");
  if (!found || found.status === "QUEUED") return false;
  unless(found);
  await tx.delete(checkpointExports).where(here);
  for (const checkpoint of await tx.select().from(checkpoints).where(eq(checkpoints.id, checkpointId))) {
    await tellWeightsDeleted(tx, checkpoint, { form: formName(form) });
    await wakeWatchers(tx, checkpoint.fineTuneId);
  }
  return true;
}
