/** The end of stored weights that were not used for a while, one form at a time. The log rebuilds them, so nothing is lost. */
import { eq } from "drizzle-orm";
import { type CheckpointExport, checkpointExports } from "../../schema/export-tables.ts";
import { type Checkpoint, checkpoints } from "../../schema/tables.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import type { Transaction } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { keyOfExport } from "../runs/exports.ts";

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
  await tx.update(checkpoints).set(noWeights).where(here);
  await wakeWatchers(tx, checkpoint.fineTuneId);
  return true;
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
  const run = { id: checkpoints.fineTuneId };
  for (const { id } of await tx.select(run).from(checkpoints).where(eq(checkpoints.id, checkpointId)))
    await wakeWatchers(tx, id);
  return true;
}
