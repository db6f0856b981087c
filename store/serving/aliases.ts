/**
 * Aliases: names that clients call a model by, and that are pointed at another base or checkpoint without the clients' doing.
 * Where a name has pointed is a stack: setting it adds a move, rolling back takes the last one away.
 */
import { and, asc, desc, eq, gt, inArray, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Alias, aliasMoves, aliases } from "../../schema/serving-tables.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { baseModels } from "../../schema/tables.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { plainName, storedName } from "../projects/names.ts";
import { audit } from "../audit/audit.ts";
import { announceAlias } from "../webhooks/announce.ts";
import { type Target, requireTarget } from "./create.ts";

export interface Aliases {
  /**
   * Points a name at a target; nothing changes if it points there already.
   * @throws NOT_FOUND; INVALID_ARGUMENT for a name that cannot be one; CONFLICT for the name of a base model
   */
  set(name: string, target: Target): Promise<Alias>;
  /** Points it to where it pointed before. @throws NOT_FOUND; INVALID_STATE when it has pointed nowhere else */
  rollBack(name: string): Promise<Alias>;
  /** False for an unknown name. */
  remove(name: string): Promise<boolean>;
  resolve(name: string): Promise<Alias | null>;
  /** By name, those after a name. */
  list(page: { readonly after?: string | undefined; readonly limit: number }): Promise<Alias[]>;
  /** Those that point at any of these checkpoints, by name. */
  ofCheckpoints(ids: readonly string[]): Promise<Alias[]>;
}

/** The aliases of one project. */
export function aliasesOf(database: Database, projectId = defaultProjectId): Aliases {
  const stored = (name: string) => storedName(projectId, name);
  const mine = eq(aliases.projectId, projectId);
  return {
    async set(name, target) {
      checkName(name);
      return plain(await database.transaction((tx) => set(tx, { projectId, name: stored(name) }, target)));
    },
    rollBack: async (name) => plain(await database.transaction((tx) => rollBack(tx, stored(name)))),
    async remove(name) {
      return database.transaction((tx) => removeAlias(tx, stored(name)));
    },
    async resolve(name) {
      const [alias] = await database
        .select()
        .from(aliases)
        .where(and(mine, eq(aliases.name, stored(name))));
      return alias ? plain(alias) : null;
    },
    async list({ after, limit }) {
      const later = after === undefined ? undefined : gt(aliases.name, stored(after));
      const rows = await database
        .select()
        .from(aliases)
        .where(and(mine, later))
        .orderBy(asc(aliases.name))
        .limit(limit);
      return rows.map(plain);
    },
    async ofCheckpoints(ids) {
      const known = ids.filter(isUuid);
      if (known.length === 0) return [];
      const where = and(mine, inArray(aliases.checkpointId, known));
      return (await database.select().from(aliases).where(where).orderBy(asc(aliases.name))).map(plain);
    },
  };
}

function plain(alias: Alias): Alias {
  return { ...alias, name: plainName(alias.name) };
}

const namePattern = /^[A-Za-z0-9][\w.:-]{0,99}$/u;

/** A name is found before a base model and an id, so it must not look like an id. */
function checkName(name: string): void {
  const seen = `${JSON.stringify(name)} cannot be an alias`;
  const refuse = (message: string) => new SteplogError("INVALID_ARGUMENT", message, [{ field: "name", message }]);
  if (!namePattern.test(name)) {
    throw refuse(`${seen}: give up to 100 letters, digits, ".", "_", ":" and "-", the first one a letter or a digit.`);
  }
  if (isUuid(name)) throw refuse(`${seen}: it looks like an id. Give a name.`);
}

async function set(
  tx: Transaction,
  { projectId, name }: Pick<Alias, "projectId" | "name">,
  target: Target,
): Promise<Alias> {
  await requireTarget(tx, target);
  const { baseModelId, checkpointId } = target;
  const [taken] = await tx
    .select({ id: baseModels.id })
    .from(baseModels)
    .where(eq(baseModels.name, plainName(name)));
  if (taken)
    throw new SteplogError("CONFLICT", `There is a base model named ${plainName(name)}. Give the alias another name.`);
  // A concurrent set of the same new name waits here, and then finds a row to move.
  const made = await tx
    .insert(aliases)
    .values({ name, projectId, baseModelId, checkpointId })
    .onConflictDoNothing()
    .returning();
  const alias = made[0] ?? (await lockAlias(tx, name));
  const isThere = alias.baseModelId === baseModelId && alias.checkpointId === checkpointId;
  if (made.length === 0 && isThere) return alias;
  const number = made.length > 0 ? 1 : alias.moves + 1;
  await tx.insert(aliasMoves).values({ name, number, baseModelId, checkpointId });
  return pointAt(tx, name, number, target);
}

async function rollBack(tx: Transaction, name: string): Promise<Alias> {
  await lockAlias(tx, name);
  const mine = eq(aliasMoves.name, name);
  const [last, before] = await tx.select().from(aliasMoves).where(mine).orderBy(desc(aliasMoves.number)).limit(2);
  if (!last || !before) {
    throw new SteplogError(
      "INVALID_STATE",
      `The alias ${plainName(name)} has pointed nowhere else, so it cannot be rolled back.`,
    );
  }
  await tx.delete(aliasMoves).where(and(mine, eq(aliasMoves.number, last.number)));
  return pointAt(tx, name, before.number, before);
}

async function pointAt(tx: Transaction, name: string, moves: number, to: Target): Promise<Alias> {
  const { baseModelId, checkpointId } = to;
  const change = { baseModelId, checkpointId, moves, updatedAt: sql`now()` };
  const alias = only(await tx.update(aliases).set(change).where(eq(aliases.name, name)).returning());
  await announceAlias(tx, plain(alias), "set");
  return alias;
}

/** @param name as it is stored */
export async function removeAlias(tx: Transaction, name: string): Promise<boolean> {
  const [gone] = await tx.delete(aliases).where(eq(aliases.name, name)).returning();
  if (!gone) return false;
  const alias = plain(gone);
  const { projectId } = alias;
  await audit(tx, { projectId, action: "alias.removed", object: { id: alias.name, name: alias.name } });
  await announceAlias(tx, alias, "removed");
  return true;
}

/** @throws NOT_FOUND */
async function lockAlias(tx: Transaction, name: string): Promise<Alias> {
  const [alias] = await tx.select().from(aliases).where(eq(aliases.name, name)).for("update");
  if (!alias) throw new SteplogError("NOT_FOUND", `There is no alias ${JSON.stringify(plainName(name))}.`);
  return alias;
}
