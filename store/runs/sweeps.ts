/** Sweeps: runs that are created together, or not at all, and then are runs as any others. */
import { createHash } from "node:crypto";
import { and, asc, count, eq, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { fineTuneStatuses, type FineTuneStatus, isFinal } from "../../schema/states.ts";
import { canonicalJson } from "../../schema/step-log.ts";
import { type Sweep, sweeps } from "../../schema/sweep-tables.ts";
import { type FineTune, fineTunes } from "../../schema/tables.ts";
import { audit } from "../audit/audit.ts";
import { deleteRun } from "../ends/runs.ts";
import { type Page, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, type Executor, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { storedKey } from "../projects/names.ts";
import { refuseBeyondBytes, refuseBeyondSteps } from "../projects/quotas.ts";
import { type NewFineTune, create, requestOf } from "./create.ts";
import { cancel } from "./lifecycle.ts";

export interface NewSweep {
  /** The default one when left out. */
  readonly projectId?: string;
  readonly idempotencyKey: string | null;
  readonly name: string;
  /** Names of the settings in which its runs differ. */
  readonly varied: readonly string[];
  /** Without keys of their own. */
  readonly runs: readonly NewFineTune[];
}

export interface SweepDeletion {
  /** Whether its runs go too; otherwise they stay, as runs of no sweep. */
  readonly runs: boolean;
  /** Whether runs that are being trained end thereby. */
  readonly cancel: boolean;
}

export interface Sweeps {
  /** All its runs in one transaction. @throws NOT_FOUND; CONFLICT for a key used with another input; QUOTA_EXCEEDED */
  create(input: NewSweep): Promise<{ readonly sweep: Sweep; readonly created: boolean }>;
  /** Whether a sweep was created with this idempotency key. */
  hasKey(idempotencyKey: string, projectId?: string): Promise<boolean>;
  get(id: string): Promise<Sweep | null>;
  byIds(ids: readonly string[]): Promise<(Sweep | null)[]>;
  /** Of all projects, or of one. */
  list(page: Page & { readonly projectId?: string }): Promise<Sweep[]>;
  count(projectId?: string): Promise<number>;
  /** In the order of their places. */
  runs(id: string): Promise<FineTune[]>;
  /** How many runs have each status. */
  counts(id: string): Promise<ReadonlyMap<FineTuneStatus, number>>;
  /** The run with the best evaluation so far: by score where any has one, otherwise by loss. */
  best(id: string): Promise<FineTune | null>;
  /** Cancels its runs that have not ended. Repeating it changes nothing. @throws NOT_FOUND */
  cancel(id: string): Promise<Sweep>;
  /** All or nothing. False if there is none. @throws INVALID_STATE, CONFLICT as deleting its runs does */
  delete(id: string, options: SweepDeletion): Promise<boolean>;
}

const keys = { table: sweeps, sort: sweeps.createdAt, id: sweeps.id };

export function sweepsOf(database: Database): Sweeps {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(sweeps).where(inArray(sweeps.id, wanted)));
  const get = async (id: string) => (await byIds([id]))[0] ?? null;
  return {
    byIds,
    get,
    create: (input) => database.transaction((tx) => createSweep(tx, input)),
    async hasKey(key, projectId = defaultProjectId) {
      const here = eq(sweeps.idempotencyKey, storedKey(projectId, key));
      return (await database.select({ id: sweeps.id }).from(sweeps).where(here)).length > 0;
    },
    count: (projectId) => countOf(database, sweeps, inProject(sweeps, projectId)),
    async list({ projectId, ...page }) {
      const { where, order } = await pageOf(database, { ...keys, of: inProject(sweeps, projectId) }, page);
      return database
        .select()
        .from(sweeps)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
    runs: (id) => runsOf(database, id),
    counts: (id) => countsOf(database, id),
    best: (id) => bestOf(database, id),
    async cancel(id) {
      const sweep = (await get(id)) ?? notThere(id);
      const open = (await runsOf(database, id)).filter(({ status }) => !isFinal(status));
      for (const run of open) await database.transaction((tx) => cancelUnlessEnded(tx, run.id));
      return sweep;
    },
    delete: (id, options) => database.transaction((tx) => deleteSweep(tx, id, options)),
  };
}

function notThere(id: string): never {
  throw new SteplogError("NOT_FOUND", `There is no sweep ${JSON.stringify(id)}.`);
}

// Create

async function createSweep(tx: Transaction, input: NewSweep): Promise<{ sweep: Sweep; created: boolean }> {
  const { projectId = defaultProjectId, name, varied, runs } = input;
  const idempotencyKey = storedKey(projectId, input.idempotencyKey);
  const inputHash = hashOf(input);
  // Waits for a concurrent create with the same key, as that of a run does.
  const [sweep] = await tx
    .insert(sweeps)
    .values({ projectId, idempotencyKey, inputHash, name, varied })
    .onConflictDoNothing({ target: sweeps.idempotencyKey })
    .returning();
  if (!sweep) return { sweep: await firstOfKey(tx, idempotencyKey ?? "", inputHash), created: false };
  for (const [index, run] of runs.entries()) {
    await create(tx, { ...run, projectId, idempotencyKey: null, sweep: { id: sweep.id, place: index + 1 } });
  }
  await refuseBeyondSteps(tx, projectId);
  if (runs.some(({ keepWeights }) => keepWeights)) await refuseBeyondBytes(tx, projectId);
  return { sweep, created: true };
}

function hashOf({ name, runs }: NewSweep): string {
  const inputs = runs.map((run) => requestOf(run).inputHash);
  return createHash("sha256").update(canonicalJson({ name, inputs })).digest("hex");
}

async function firstOfKey(tx: Transaction, key: string, inputHash: string): Promise<Sweep> {
  const first = only(await tx.select().from(sweeps).where(eq(sweeps.idempotencyKey, key)));
  if (first.inputHash === inputHash) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key was used for the sweep ${JSON.stringify(first.name)}, with another input. ` +
      "Repeat that input to get the same sweep, or use a new key for a new one.",
  );
}

// Read

async function runsOf(database: Executor, id: string): Promise<FineTune[]> {
  if (!isUuid(id)) return [];
  const order = [asc(fineTunes.sweepPlace), asc(fineTunes.createdAt), asc(fineTunes.id)];
  return database
    .select()
    .from(fineTunes)
    .where(eq(fineTunes.sweepId, id))
    .orderBy(...order);
}

async function countsOf(database: Database, id: string): Promise<ReadonlyMap<FineTuneStatus, number>> {
  if (!isUuid(id)) return new Map();
  const rows = await database
    .select({ status: fineTunes.status, count: count() })
    .from(fineTunes)
    .where(eq(fineTunes.sweepId, id))
    .groupBy(fineTunes.status);
  const counts = new Map(rows.map((row) => [row.status, row.count]));
  return new Map(fineTuneStatuses.flatMap((status) => (counts.has(status) ? [[status, counts.get(status) ?? 0]] : [])));
}

async function bestOf(database: Database, id: string): Promise<FineTune | null> {
  if (!isUuid(id)) return null;
  const measured = sql`(${fineTunes.bestScore} is not null or ${fineTunes.bestLoss} is not null)`;
  const order = [
    sql`${fineTunes.bestScore} desc nulls last`,
    sql`${fineTunes.bestLoss} asc nulls last`,
    asc(fineTunes.sweepPlace),
  ];
  const [best] = await database
    .select()
    .from(fineTunes)
    .where(and(eq(fineTunes.sweepId, id), measured))
    .orderBy(...order)
    .limit(1);
  return best ?? null;
}

// End

/** One that has ended in the meantime stays as it is. */
async function cancelUnlessEnded(tx: Transaction, id: string): Promise<void> {
  try {
    await cancel(tx, id);
  } catch (error) {
    const over = error instanceof SteplogError && (error.code === "INVALID_STATE" || error.code === "NOT_FOUND");
    if (!over) throw error;
  }
}

async function deleteSweep(tx: Transaction, id: string, options: SweepDeletion): Promise<boolean> {
  const [sweep] = isUuid(id) ? await tx.select().from(sweeps).where(eq(sweeps.id, id)).for("update") : [];
  if (!sweep) return false;
  const runs = options.runs ? await runsOf(tx, id) : [];
  // The last first: a run may have gone back from one before it.
  for (const run of runs.toReversed()) await deleteRun(tx, run.id, { cancel: options.cancel });
  await tx.delete(sweeps).where(eq(sweeps.id, id));
  const { projectId } = sweep;
  await audit(tx, { projectId, action: "sweep.deleted", object: sweep, details: { runs: runs.length } });
  return true;
}
