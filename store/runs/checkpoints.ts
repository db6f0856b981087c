/** Checkpoints: named positions in the log of a run. */
import { and, desc, eq, inArray, lte, sql } from "drizzle-orm";
import type { LogParts } from "../../schema/step-log.ts";
import { type Checkpoint, type FineTune, baseModels, checkpoints, fineTunes } from "../../schema/tables.ts";
import type { WantedKeep } from "../ends/expiry.ts";
import { deleteCheckpoint, deleteWeights } from "../ends/runs.ts";
import { type Page, countOf, pageOf } from "../pages.ts";
import { type Database, inOrderOf, isUuid } from "../postgres/database.ts";
import { whyJobWaits } from "../queue/waiting.ts";
import { logParts } from "./logs.ts";
import { requestWeights, useWeights } from "./weights.ts";

export interface Checkpoints {
  get(id: string): Promise<Checkpoint | null>;
  byIds(ids: readonly string[]): Promise<(Checkpoint | null)[]>;
  /** Those of a run, the latest position first. */
  list(fineTuneId: string, page: Page): Promise<Checkpoint[]>;
  count(fineTuneId: string): Promise<number>;
  /** The last one of a run that is not after a step; null if there is none. */
  lastUpTo(fineTuneId: string, step: number): Promise<Checkpoint | null>;
  /** The run that a checkpoint is of. */
  runOf(checkpoint: Checkpoint): Promise<FineTune | null>;
  /** The log up to a checkpoint; null when there is none. */
  logParts(checkpoint: Checkpoint): Promise<LogParts | null>;
  /** Has a worker rebuild the weights, unless they are stored or already queued, which counts as a use. @throws NOT_FOUND */
  requestWeights(id: string, keep?: WantedKeep): Promise<Checkpoint>;
  /** Says that the stored weights are used now: they stay for longer. */
  useWeights(id: string): Promise<void>;
  /** False if there is none. @throws INVALID_STATE while its run goes on; CONFLICT naming forks and aliases that stand on it */
  delete(id: string): Promise<boolean>;
  /** Deletes stored weights and exports, which can be requested again. @throws NOT_FOUND */
  deleteWeights(id: string): Promise<Checkpoint>;
  /** Why no worker is rebuilding requested weights, for people; null while one is, and when none are requested. */
  waitingReason(id: string): Promise<string | null>;
}

/** Within one run the number of entries is unique, and sorts better than the clock. */
const keys = { table: checkpoints, sort: checkpoints.entries, id: checkpoints.id };

export function checkpointsOf(database: Database): Checkpoints {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(checkpoints).where(inArray(checkpoints.id, wanted)));
  return {
    byIds,
    get: async (id) => (await byIds([id]))[0] ?? null,
    async lastUpTo(fineTuneId, step) {
      if (!isUuid(fineTuneId)) return null;
      const [last] = await database
        .select()
        .from(checkpoints)
        .where(and(eq(checkpoints.fineTuneId, fineTuneId), lte(checkpoints.step, step)))
        .orderBy(desc(checkpoints.entries))
        .limit(1);
      return last ?? null;
    },
    async runOf({ fineTuneId }) {
      const [run] = await database.select().from(fineTunes).where(eq(fineTunes.id, fineTuneId));
      return run ?? null;
    },
    logParts: ({ fineTuneId, entries }) => logParts(database, fineTuneId, entries),
    waitingReason: (id) => whyJobWaits(database, "MATERIALISE", id),
    delete: (id) => database.transaction((tx) => deleteCheckpoint(tx, id)),
    deleteWeights: (id) => database.transaction((tx) => deleteWeights(tx, id)),
    requestWeights: (id, keep = {}) => database.transaction((tx) => requestWeights(tx, id, keep)),
    useWeights: (id) => useWeights(database, id),
    count: async (id) => (isUuid(id) ? countOf(database, checkpoints, eq(checkpoints.fineTuneId, id)) : 0),
    async list(fineTuneId, page) {
      if (!isUuid(fineTuneId)) return [];
      const { where, order } = await pageOf(database, { ...keys, of: eq(checkpoints.fineTuneId, fineTuneId) }, page);
      return database
        .select()
        .from(checkpoints)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}

/** A place in a log on a base: both hashes in hex. */
export interface ChainPlace {
  readonly base: string;
  readonly chain: string;
}

/** Those that are checkpoints. */
export async function checkpointsOfChains(
  database: Database,
  places: readonly ChainPlace[],
): Promise<readonly ChainPlace[]> {
  if (places.length === 0) return [];
  const chain = sql<string>`encode(${checkpoints.chain}, 'hex')`;
  const wanted = places.map((place) => Buffer.from(place.chain, "hex"));
  return database
    .selectDistinct({ base: baseModels.hash, chain })
    .from(checkpoints)
    .innerJoin(fineTunes, eq(fineTunes.id, checkpoints.fineTuneId))
    .innerJoin(baseModels, eq(baseModels.id, fineTunes.baseModelId))
    .where(inArray(checkpoints.chain, wanted));
}
