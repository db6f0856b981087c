/**
 * Found models: folders of models folders that are not base models yet. Workers report what they see; an operator requests
 * that one be registered; a worker that has it claims the request, reads the whole folder, and makes it a base model
 * (base-models.ts). A claim expires like the lease of a job. It needs no fencing: two workers that register one folder write
 * the same row.
 *
 * Workers may share a models folder or have their own, so a worker speaks for itself alone: it deletes what it was the last to
 * see, and a folder that it cannot use does not hide another worker's usable one.
 *
 * These claims are not jobs of the queue: workers of the release before claim jobs of any kind, and would fail on this one.
 */
import { and, asc, eq, inArray, isNotNull, isNull, lt, ne, not, notExists, notInArray, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { forgetFoundMs } from "../../schema/limits.ts";
import { type FoundModel, baseModels, foundModels } from "../../schema/tables.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import { wakeWorkers } from "../postgres/notify.ts";
import { msFromNow } from "../postgres/times.ts";
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

interface RegistrationClaim extends Claim {
  /** Usable folders that the worker has. */
  readonly names: readonly string[];
}

export interface FoundModels {
  /** Those of the names that are not base models. */
  unregistered(names: readonly string[]): Promise<string[]>;
  /** All that the worker sees. What it no longer sees is deleted, unless others see it; requests and failures are kept. */
  report(worker: string, models: readonly SeenModel[]): Promise<void>;
  /** In order of name. */
  list(limit: number): Promise<FoundModel[]>;
  get(name: string): Promise<FoundModel | null>;
  /** Requests that a worker register it; null when no worker found it. A repeat while one is under way changes nothing. */
  requestRegistration(name: string): Promise<FoundModel | null>;
  /** The oldest request for one of the names that no live worker has claimed; null when there is none. */
  claimRegistration(claim: RegistrationClaim): Promise<string | null>;
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
    report: (worker, models) => database.transaction((tx) => report(tx, worker, models)),
    list: (limit) => database.select().from(foundModels).where(still).orderBy(asc(foundModels.name)).limit(limit),
    async get(name) {
      const [model] = await database
        .select()
        .from(foundModels)
        .where(and(eq(foundModels.name, name), still));
      return model ?? null;
    },
    requestRegistration: (name) => database.transaction((tx) => request(tx, name)),
    claimRegistration: (claim) => claimOldest(database, claim),
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

const isForgotten = lt(foundModels.lastSeenAt, msFromNow(-forgetFoundMs));

async function report(tx: Transaction, worker: string, models: readonly SeenModel[]): Promise<void> {
  const names = models.map((model) => model.name);
  const unseen = names.length > 0 ? notInArray(foundModels.name, names) : undefined;
  // A request may be for another worker's folder of the same name, so it waits until all have forgotten it.
  const isMine = and(eq(foundModels.seenBy, worker), isNull(foundModels.requestedAt));
  await tx.delete(foundModels).where(and(unseen, or(isMine, isForgotten)));
  // In one order everywhere, so that two workers that report at once do not deadlock.
  for (const model of models.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const seen = { ...unknown, ...model, seenBy: worker, lastSeenAt: sql`clock_timestamp()` };
    const hidesUsable = and(isNull(foundModels.problem), ne(foundModels.seenBy, worker), not(isForgotten));
    await tx
      .insert(foundModels)
      .values(seen)
      .onConflictDoUpdate({
        target: foundModels.name,
        set: seen,
        ...("problem" in model && { setWhere: sql`not coalesce(${hidesUsable}, false)` }),
      });
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
  // A worker that is asleep starts for it.
  await wakeWorkers(tx, null);
  return only(
    await tx
      .update(foundModels)
      .set({ requestedAt: sql`now()`, failure: null })
      .where(here)
      .returning(),
  );
}

/** One statement, as the claim of a job (queue/jobs.ts). */
async function claimOldest(database: Database, { names, ...claim }: RegistrationClaim): Promise<string | null> {
  if (names.length === 0) return null;
  const unclaimed = or(isNull(foundModels.claimExpiresAt), lt(foundModels.claimExpiresAt, sql`clock_timestamp()`));
  const free = database.$with("free").as(
    database
      .select({ name: foundModels.name })
      .from(foundModels)
      .where(and(isNotNull(foundModels.requestedAt), inArray(foundModels.name, [...names]), unclaimed))
      .orderBy(asc(foundModels.requestedAt))
      .limit(1)
      .for("update", { skipLocked: true }),
  );
  const [claimed] = await database
    .with(free)
    .update(foundModels)
    .set({ claimedBy: claim.worker, ...claimUntil(claim) })
    .where(eq(foundModels.name, sql`(select name from free)`))
    .returning({ name: foundModels.name });
  return claimed?.name ?? null;
}

function claimUntil({ leaseMs }: Pick<Claim, "leaseMs">) {
  return { claimExpiresAt: msFromNow(leaseMs) };
}

function claimOf(name: string, { worker }: Pick<Claim, "worker">) {
  return and(eq(foundModels.name, name), eq(foundModels.claimedBy, worker));
}
