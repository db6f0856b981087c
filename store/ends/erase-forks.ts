/**
 * A fork of another project gets a copy of its first entries, which are those of the run that it continues from, so that its log
 * rebuilds without that run. The chain of its log stays what it was.
 */
import { eq } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { isFinal } from "../../schema/states.ts";
import { fineTunes, logSegments } from "../../schema/tables.ts";
import { only, type Transaction } from "../postgres/database.ts";
import { segmentsOf } from "../runs/logs.ts";

const again = "Wait until that run has ended, or cancel it, and erase the project then.";

/** @throws CONFLICT for a run that has not ended: whoever trains it must know that it is a fork */
export async function keepForkWhole(tx: Transaction, id: string): Promise<void> {
  const fork = only(await tx.select().from(fineTunes).where(eq(fineTunes.id, id)).for("no key update"));
  if (!isFinal(fork.status))
    throw new SteplogError("CONFLICT", `Another project has just forked a run of it. ${again}`);
  for await (const segment of segmentsOf(tx, id, fork.firstEntry)) {
    const { firstEntry, count, scalars, decays } = segment;
    await tx.insert(logSegments).values({
      fineTuneId: id,
      firstEntry,
      count,
      scalars: scalars.subarray(0, 2 * count),
      decays: decays?.subarray(0, 4 * count) ?? null,
    });
  }
  await tx.update(fineTunes).set({ fromCheckpointId: null }).where(eq(fineTunes.id, id));
}
