/** Fine-tunes by id and as pages; creating, cancelling and waiting. */
import { eq, inArray } from "drizzle-orm";
import { defaultProjectId } from "../../schema/projects.ts";
import { type FineTune, fineTunes } from "../../schema/tables.ts";
import { type RunDeletion, deleteRun } from "../ends/runs.ts";
import type { Page } from "../pages.ts";
import { type Database, inOrderOf } from "../postgres/database.ts";
import { storedKey } from "../projects/names.ts";
import { refuseBeyondBytes, refuseBeyondSteps } from "../projects/quotas.ts";
import type { MostRuns } from "../queue/turns.ts";
import { queuePosition, whyJobWaits } from "../queue/waiting.ts";
import { type NewFineTune, create, refuseUsedKey } from "./create.ts";
import { type RunFilter, type RunLabels, type RunOrder, type RunSort, countRuns, label, listRuns } from "./labels.ts";
import { cancel } from "./lifecycle.ts";
import { pause, resume } from "./pause.ts";
import { type RunReaders, runReaders } from "./logs.ts";
import { timeLeft } from "./time-left.ts";

export interface FineTunes extends RunReaders {
  /** Row, job, event and notification in one transaction. @throws NOT_FOUND; CONFLICT for a key used with another input; QUOTA_EXCEEDED */
  create(input: NewFineTune): Promise<{ readonly fineTune: FineTune; readonly created: boolean }>;
  /** @throws CONFLICT for a key used with another input, as `create` does */
  refuseUsedKey(input: NewFineTune): Promise<void>;
  get(id: string): Promise<FineTune | null>;
  /** Whether a run was created with this idempotency key. */
  hasKey(idempotencyKey: string, projectId?: string): Promise<boolean>;
  /** Of all projects, or of one. */
  list(query: Page & RunFilter & RunOrder): Promise<FineTune[]>;
  /** How many runs the pages of such a list have together. */
  count(query: RunFilter & { readonly sort?: RunSort | undefined }): Promise<number>;
  /** Repeating it changes nothing. @throws NOT_FOUND; INVALID_ARGUMENT for more tags than a run may have */
  label(id: string, labels: RunLabels): Promise<FineTune>;
  byIds(ids: readonly string[]): Promise<(FineTune | null)[]>;
  /** A QUEUED run ends at once, a RUNNING one after its current step. @throws INVALID_STATE for one that succeeded or failed */
  cancel(id: string): Promise<FineTune>;
  /** A QUEUED run pauses at once, a RUNNING one after its current step. @throws INVALID_STATE for one that has ended or is to end */
  pause(id: string): Promise<FineTune>;
  /** A PAUSED run is queued again; one that is to pause goes on. @throws INVALID_STATE as `pause` */
  resume(id: string): Promise<FineTune>;
  /**
   * Deletes a run with its log, its checkpoints, and what was asked of these. False if there is none.
   * @throws INVALID_STATE for a running one, without `cancel`; CONFLICT naming the forks and aliases that stand on it
   */
  delete(id: string, options: RunDeletion): Promise<boolean>;
  /** Why no worker is training the run, for people; null while one is, or can start at once, and after the end. */
  waitingReason(id: string): Promise<string | null>;
  /** How many jobs workers would claim before this run; 0 when it is next. Null while it does not wait for a worker. */
  queuePosition(id: string): Promise<number | null>;
  /** Seconds until it will have ended; null where that is not known (time-left.ts), and for a run that is paused or has ended. */
  timeLeft(id: string): Promise<number | null>;
}

export function fineTunesOf(database: Database, mostRuns: MostRuns): FineTunes {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(fineTunes).where(inArray(fineTunes.id, wanted)));
  return {
    byIds,
    ...runReaders(database),
    create: (input) =>
      database.transaction(async (tx) => {
        const made = await create(tx, input);
        // Checked here and not in `create`: the steps of a run that goes back to a checkpoint have been counted already.
        const { projectId, keepWeights } = made.fineTune;
        if (made.created) await refuseBeyondSteps(tx, projectId);
        if (made.created && keepWeights) await refuseBeyondBytes(tx, projectId);
        return made;
      }),
    refuseUsedKey: (input) => refuseUsedKey(database, input),
    async hasKey(key, projectId = defaultProjectId) {
      const found = await database
        .select({ id: fineTunes.id })
        .from(fineTunes)
        .where(eq(fineTunes.idempotencyKey, storedKey(projectId, key)));
      return found.length > 0;
    },
    get: async (id) => (await byIds([id]))[0] ?? null,
    cancel: (id) => database.transaction((tx) => cancel(tx, id)),
    pause: (id) => database.transaction((tx) => pause(tx, id)),
    resume: (id) => database.transaction((tx) => resume(tx, id)),
    delete: (id, options) => database.transaction((tx) => deleteRun(tx, id, options)),
    waitingReason: (id) => whyJobWaits(database, "FINE_TUNE", id, mostRuns),
    queuePosition: (id) => queuePosition(database, "FINE_TUNE", id, mostRuns),
    timeLeft: (id) => timeLeft(database, id, mostRuns),
    label: (id, labels) => database.transaction((tx) => label(tx, id, labels)),
    list: (query) => listRuns(database, query, query),
    count: ({ sort = "CREATED", ...filter }) => countRuns(database, filter, sort),
  };
}
