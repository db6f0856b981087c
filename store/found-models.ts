/**
 * Folders of the models folder that are no base models yet. A worker reports what it sees; an operator asks that one be
 * registered; a worker claims that, reads the folder whole, and makes it a base model (base-models.ts). A claim lapses like
 * a lease of a job does, but needs no fencing: two workers that register one folder write the same row.
 */
import { and, asc, eq, inArray, isNotNull, isNull, lt, notExists, notInArray, or, sql } from "drizzle-orm";
import { SteplogError } from "../schema/errors.ts";
import { type FoundModel, baseModels, foundModels } from "../schema/tables.ts";
import { type Database, type Transaction, only } from "./postgres/database.ts";
import type { FoundModels, SeenModel } from "./types.ts";

type Claim = Parameters<FoundModels["claimRegistration"]>[0];

const free = { claimedBy: null, claimExpiresAt: null };

export function foundModelsOf(database: Database): FoundModels {
  /** A worker that reports late may have seen what has become a base model meanwhile. */
  const still = notExists(database.select().from(baseModels).where(eq(baseModels.name, foundModels.name)));
  return {
    unregistered: (names) => unregistered(database, names),
    report: (models) => database.transaction((tx) => report(tx, models)),
    list: (limit) => database.select().from(foundModels).where(still).orderBy(asc(foundModels.name)).limit(limit),
    async get(name) {
      const [model] = await database
        .select()
        .from(foundModels)
        .where(and(eq(foundModels.name, name), still));
      return model ?? null;
    },
    requestRegistration: (name) => database.transaction((tx) => request(tx, name)),
    claimRegistration: (claim) => database.transaction((tx) => claimOldest(tx, claim)),
    async renewRegistration(name, claim) {
      const mine = await database.update(foundModels).set(claimUntil(claim)).where(claimOf(name, claim)).returning();
      return mine.length > 0;
    },
    async failRegistration(name, worker, failure) {
      const end = { ...free, requestedAt: null, failure };
      await database.update(foundModels).set(end).where(claimOf(name, { worker }));
    },
    async releaseRegistration(name, worker) {
      await database.update(foundModels).set(free).where(claimOf(name, { worker }));
    },
  };
}

async function unregistered(database: Database, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const known = await database
    .select({ name: baseModels.name })
    .from(baseModels)
    .where(inArray(baseModels.name, [...names]));
  const registered = new Set(known.map((row) => row.name));
  return names.filter((name) => !registered.has(name));
}

async function report(tx: Transaction, models: readonly SeenModel[]): Promise<void> {
  const names = models.map((model) => model.name);
  await tx.delete(foundModels).where(names.length > 0 ? notInArray(foundModels.name, names) : undefined);
  // In one order everywhere, so that two workers that report at once do not wait for each other.
  for (const model of models.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const seen = { ...unknown, ...model };
    await tx.insert(foundModels).values(seen).onConflictDoUpdate({ target: foundModels.name, set: seen });
  }
}

const unknown = { family: null, dtype: null, parameters: null, bytes: null, contextLength: null, problem: null };

async function request(tx: Transaction, name: string): Promise<FoundModel | null> {
  const here = eq(foundModels.name, name);
  const [found] = await tx.select().from(foundModels).where(here).for("update");
  if (!found) return null;
  if (found.requestedAt !== null) return found;
  if (found.problem !== null) {
    throw new SteplogError("INVALID_STATE", `The folder "${name}" cannot be registered: ${found.problem}`);
  }
  return only(
    await tx
      .update(foundModels)
      .set({ requestedAt: sql`now()`, failure: null })
      .where(here)
      .returning(),
  );
}

async function claimOldest(tx: Transaction, claim: Claim): Promise<string | null> {
  const unclaimed = or(isNull(foundModels.claimExpiresAt), lt(foundModels.claimExpiresAt, sql`clock_timestamp()`));
  const [free] = await tx
    .select({ name: foundModels.name })
    .from(foundModels)
    .where(and(isNotNull(foundModels.requestedAt), unclaimed))
    .orderBy(asc(foundModels.requestedAt))
    .limit(1)
    .for("update", { skipLocked: true });
  if (!free) return null;
  const taken = { claimedBy: claim.worker, ...claimUntil(claim) };
  await tx.update(foundModels).set(taken).where(eq(foundModels.name, free.name));
  return free.name;
}

function claimUntil({ leaseMs }: Pick<Claim, "leaseMs">) {
  return { claimExpiresAt: sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'` };
}

function claimOf(name: string, { worker }: Pick<Claim, "worker">) {
  return and(eq(foundModels.name, name), eq(foundModels.claimedBy, worker));
}
