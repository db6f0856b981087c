/** When things end: as their creator says, else after the time that their project keeps such things. By Postgres' clock. */
import { type SQL, and, eq, isNull, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";
import { SteplogError } from "../../schema/errors.ts";
import { type ExpiringKind, type Expiry, type Keep, type KeptKind, keptKinds } from "../../schema/expiry.ts";
import { projects } from "../../schema/project-tables.ts";
import { completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { audit } from "../audit/audit.ts";
import { type Database, type Executor, type Transaction, isUuid } from "../postgres/database.ts";
import { secondsFromStart } from "../postgres/times.ts";
import { notThere } from "../projects/sight.ts";

/** What an object may still be told of its end. */
export interface Ending {
  readonly expiresAt: Date | null;
}

export interface Expiries {
  /** Sets, moves or, with `never`, clears the time at which something ends. @throws NOT_FOUND; INVALID_ARGUMENT for a completion that is never to end */
  set(kind: ExpiringKind, id: string, expiry: Expiry): Promise<Ending>;
}

/** In SQL: how many seconds a project keeps what was created now; null for as long as nobody deletes it. @param usualS otherwise */
export function keptSeconds(projectId: string, kind: KeptKind, usualS: number | null = null): SQL {
  const its = sql`(select (${projects.keep} ->> ${kind})::float8 from ${projects} where ${projects.id} = ${projectId})`;
  return sql`coalesce(${its}, ${usualS}::float8)`;
}

/** In SQL: when something that is created now ends; null for never. */
export function expiryOf(
  { projectId, expiry }: { readonly projectId: string; readonly expiry?: Expiry | null | undefined },
  kind: KeptKind,
  usualS: number | null = null,
): SQL {
  return expiry ? givenExpiry(expiry) : secondsFromStart(keptSeconds(projectId, kind, usualS));
}

function givenExpiry(expiry: Expiry): SQL {
  if ("at" in expiry) return sql`${expiry.at.toISOString()}::timestamptz`;
  return "ttl" in expiry ? secondsFromStart(expiry.ttl) : sql`null::timestamptz`;
}

// Of stored weights, which end so long after they were last used

/** How long stored weights are to stay after their last use. */
export interface WantedKeep {
  /** 0 for as long as the checkpoint; null or left out: as the project says. */
  readonly keepSeconds?: number | null | undefined;
  /** For a project that says nothing; null for as long as the checkpoint. */
  readonly usualSeconds?: number | null | undefined;
}

/** In SQL: null for as long as the checkpoint. */
export function wantedSeconds(projectId: string, { keepSeconds, usualSeconds }: WantedKeep): SQL {
  if (keepSeconds != null) return sql`nullif(${keepSeconds}::float8, 0)`;
  return sql`nullif(${keptSeconds(projectId, "WEIGHTS", usualSeconds ?? null)}, 0)`;
}

/** In SQL: whether the last renewal was more than a minute ago, so that a download of many parts is no write for each. */
export const isStale = (seconds: PgColumn, expiresAt: PgColumn): SQL =>
  sql`${expiresAt} < ${secondsFromStart(seconds)} - interval '1 minute'`;

// Of what is there

const nouns: Readonly<Record<ExpiringKind, string>> = {
  FINE_TUNE: "fine-tune",
  CHECKPOINT: "checkpoint",
  DATASET: "dataset",
  EVALUATION: "evaluation",
  COMPLETION: "completion",
};
const tables = { FINE_TUNE: fineTunes, CHECKPOINT: checkpoints, DATASET: datasets, EVALUATION: modelEvaluations };

export function expiriesOf(database: Database): Expiries {
  return {
    async set(kind, id, expiry) {
      const [row] = isUuid(id) ? await database.transaction((tx) => setExpiry(tx, kind, id, expiry)) : [];
      if (!row) throw notThere(nouns[kind], id);
      return row;
    },
  };
}

async function setExpiry(tx: Transaction, kind: ExpiringKind, id: string, expiry: Expiry): Promise<Ending[]> {
  const expiresAt = givenExpiry(expiry);
  if (kind === "COMPLETION") return setOfCompletion(tx, id, expiry, expiresAt);
  const table = tables[kind];
  const there = kind === "DATASET" ? isNull(datasets.deletedAt) : undefined;
  const rows = await tx
    .update(table)
    .set({ expiresAt, expiryHeldBy: null, expiryTryAt: null })
    .where(and(eq(table.id, id), there))
    .returning({ expiresAt: table.expiresAt });
  for (const row of rows) await written(tx, kind, id, row);
  return rows;
}

/** The service deletes it then: the audit log tells who said so. */
async function written(
  tx: Transaction,
  kind: Exclude<ExpiringKind, "COMPLETION">,
  id: string,
  { expiresAt }: Ending,
): Promise<void> {
  const [owner] = await ownerOf(tx, kind, id);
  if (!owner) throw notThere(nouns[kind], id);
  const action = `${nounsOfActions[kind]}.expiry_set` as const;
  const details = { expiresAt: expiresAt?.toISOString() ?? null };
  await audit(tx, { projectId: owner.projectId, action, object: { id, name: owner.name }, details });
}

const nounsOfActions = {
  FINE_TUNE: "fine_tune",
  CHECKPOINT: "checkpoint",
  DATASET: "dataset",
  EVALUATION: "evaluation",
} as const;

function ownerOf(tx: Transaction, kind: Exclude<ExpiringKind, "COMPLETION">, id: string) {
  const { name, projectId } = fineTunes;
  if (kind === "FINE_TUNE") return tx.select({ name, projectId }).from(fineTunes).where(eq(fineTunes.id, id));
  if (kind === "DATASET")
    return tx.select({ name: datasets.name, projectId: datasets.projectId }).from(datasets).where(eq(datasets.id, id));
  if (kind === "EVALUATION")
    return tx
      .select({ name: sql<null>`null`, projectId: modelEvaluations.projectId })
      .from(modelEvaluations)
      .where(eq(modelEvaluations.id, id));
  return tx
    .select({ name, projectId })
    .from(checkpoints)
    .innerJoin(fineTunes, eq(fineTunes.id, checkpoints.fineTuneId))
    .where(eq(checkpoints.id, id));
}

/** They hold what people wrote. */
async function setOfCompletion(database: Executor, id: string, expiry: Expiry, expiresAt: SQL): Promise<Ending[]> {
  if ("never" in expiry) {
    const message = "a completion always ends; give a time";
    throw new SteplogError("INVALID_ARGUMENT", `expiry: ${message}.`, [{ field: "expiry.never", message }]);
  }
  const { expiresAt: set } = completions;
  return database.update(completions).set({ expiresAt }).where(eq(completions.id, id)).returning({ expiresAt: set });
}

// Of projects

/** Null takes a time away; what is left out stays. */
export type KeepChanges = Readonly<Partial<Record<KeptKind, number | null>>>;

/** @throws NOT_FOUND */
export async function keepOf(database: Executor, projectId: string): Promise<Keep> {
  const [row] = isUuid(projectId)
    ? await database.select({ keep: projects.keep }).from(projects).where(eq(projects.id, projectId))
    : [];
  if (!row) throw notThere("project", projectId);
  return row.keep;
}

/** For what is created from now on. One statement, so that two who change different kinds both do. @throws NOT_FOUND */
export async function changeKeep(database: Database, projectId: string, changes: KeepChanges): Promise<Keep> {
  const given = keptKinds.filter((kind) => changes[kind] !== undefined);
  const set = Object.fromEntries(given.flatMap((kind) => (changes[kind] == null ? [] : [[kind, changes[kind]]])));
  const kept = sql`(${projects.keep} - array(select jsonb_array_elements_text(${JSON.stringify(given)}::jsonb)))`;
  const keep = sql`${kept} || ${JSON.stringify(set)}::jsonb`;
  const here = eq(projects.id, projectId);
  return database.transaction(async (tx) => {
    const [changed] = isUuid(projectId) ? await tx.update(projects).set({ keep }).where(here).returning() : [];
    const details = Object.fromEntries(given.map((kind) => [kind, changes[kind] ?? null]));
    if (changed) await audit(tx, { projectId, action: "project.keep_changed", object: changed, details });
    return keepOf(tx, projectId);
  });
}
