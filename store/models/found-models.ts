/**
 * Found models: folders of the models folder that are not base models yet. Workers report what they see; an operator requests
 * that one be registered; a worker claims the request, reads the whole folder, and makes it a base model (base-models.ts).
 * A claim expires like the lease of a job. It needs no fencing: two workers that register one folder write the same row.
 *
 * These claims are not jobs of the queue: workers of the release before claim jobs of any kind, and would fail on this one.
 */
import { and, asc, eq, inArray, isNotNull, isNull, lt, notExists, notInArray, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type FoundModel, baseModels, foundModels } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import type { NewBaseModel } from "./base-models.ts";

/** What a worker sees of a folder without reading its weights. */
export type SeenModel =
  | Omit<NewBaseModel, "hash">
  /** Why it cannot be used: code and message. */
  | { readonly name: string; readonly problem: string };

interface Claim {
  readonly worker: string;
  readonly leaseMs: number;
}

export interface FoundModels {
  /** Those of the names that are not base models. */
  unregistered(names: readonly string[]): Promise<string[]>;
  /** Makes these the found models: others are deleted, requests and failures are kept. */
  report(models: readonly SeenModel[]): Promise<void>;
  /** In order of name. */
  list(limit: number): Promise<FoundModel[]>;
  get(name: string): Promise<FoundModel | null>;
  /** Requests that a worker register it; null when no worker found it. A repeat while one is under way changes nothing. */
  requestRegistration(name: string): Promise<FoundModel | null>;
  /** The oldest request that no live worker has claimed; null when there is none. */
  claimRegistration(claim: Claim): Promise<string | null>;
  /** False when another worker has the claim, or the folder is gone. */
  renewRegistration(name: string, claim: Claim): Promise<boolean>;
  failRegistration(name: string, worker: string, problem: string): Promise<void>;
  /** Releases the claim, so that another worker registers it at once. */
  releaseRegistration(name: string, worker: string): Promise<void>;
}

const free = { claimedBy: null, claimExpiresAt: null };

export function foundModelsOf(database: Database): FoundModels {
  /** Leaves out what became a base model after the worker looked. */
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
  // In one order everywhere, so that two workers that report at once do not deadlock.
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
