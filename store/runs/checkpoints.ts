/** Places in a log by name, and the wish to have one's weights as a file. */
import { and, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Checkpoint, checkpoints, jobs } from "../../schema/tables.ts";
import { type Database, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { pageOf } from "../pages.ts";
import { wakeWatchers, wakeWorkers } from "./events.ts";
import type { Checkpoints } from "../types.ts";

/** Within one run the place in the log sorts better than the clock does, and is unique. */
const keys = { table: checkpoints, sort: checkpoints.entries, id: checkpoints.id };

export function checkpointsOf(database: Database): Checkpoints {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(checkpoints).where(inArray(checkpoints.id, wanted)));
  return {
    byIds,
    get: async (id) => (await byIds([id]))[0] ?? null,
    requestWeights: (id) => database.transaction((tx) => requestWeights(tx, id)),
    async list(fineTuneId, page) {
      if (!isUuid(fineTuneId)) return [];
      const { where, order } = await pageOf(database, keys, page);
      where.push(eq(checkpoints.fineTuneId, fineTuneId));
      return database
        .select()
        .from(checkpoints)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}

/** QUEUED and "a job exists" are the same fact, held together by the lock on the checkpoint's row. */
async function requestWeights(tx: Transaction, id: string): Promise<Checkpoint> {
  const here = eq(checkpoints.id, id);
  const [checkpoint] = isUuid(id) ? await tx.select().from(checkpoints).where(here).for("no key update") : [];
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(id)}.`);
  if (checkpoint.weightsStatus === "QUEUED" || checkpoint.weightsStatus === "STORED") return checkpoint;

  await tx.insert(jobs).values({ kind: "MATERIALISE", fineTuneId: checkpoint.fineTuneId, checkpointId: id });
  await wakeWorkers(tx);
  await wakeWatchers(tx, checkpoint.fineTuneId);
  return only(
    await tx.update(checkpoints).set({ weightsStatus: "QUEUED", weightsError: null }).where(here).returning(),
  );
}
