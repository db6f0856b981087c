/** Projects by id and name, and what they share. */
import { and, asc, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Project, projects, shares } from "../../schema/project-tables.ts";
import type { SharedKind } from "../../schema/projects.ts";
import { type Page, countOf, pageOf } from "../pages.ts";
import type { AuditAction } from "../../schema/audit.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { audit } from "../audit/audit.ts";
import { type Database, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { causeOf } from "../postgres/failures.ts";
import { notThere } from "./sight.ts";

export interface Projects {
  /** @throws CONFLICT for a name that is taken */
  create(name: string): Promise<Project>;
  /** Repeating it changes nothing. @throws NOT_FOUND; CONFLICT for a name that is taken */
  rename(id: string, name: string): Promise<Project>;
  get(id: string): Promise<Project | null>;
  getByName(name: string): Promise<Project | null>;
  byIds(ids: readonly string[]): Promise<(Project | null)[]>;
  /** Newest first. */
  list(page: Page): Promise<Project[]>;
  count(): Promise<number>;
  /** Lets a project read a checkpoint or dataset of another. Repeating it changes nothing. @throws NOT_FOUND for an unknown project */
  share(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  /** Takes that back. Repeating it changes nothing. */
  unshare(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  /** The projects that may read it, by name. */
  sharedWith(kind: SharedKind, objectId: string): Promise<Project[]>;
}

const keys = { table: projects, of: undefined, sort: projects.createdAt, id: projects.id };

export function projectsOf(database: Database): Projects {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(projects).where(inArray(projects.id, wanted)));
  const get = async (id: string) => (await byIds([id]))[0] ?? null;
  return {
    byIds,
    get,
    create: (name) =>
      database.transaction(async (tx) => {
        const [made] = await tx.insert(projects).values({ name }).onConflictDoNothing().returning();
        if (!made) throw isTaken(name);
        await audit(tx, { projectId: made.id, action: "project.created", object: made });
        return made;
      }),
    rename: (id, name) => database.transaction((tx) => rename(tx, id, name)),
    async getByName(name) {
      const [found] = await database.select().from(projects).where(eq(projects.name, name));
      return found ?? null;
    },
    count: () => countOf(database, projects, undefined),
    async list(page) {
      const { where, order } = await pageOf(database, keys, page);
      return database
        .select()
        .from(projects)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
    async share(kind, objectId, projectId) {
      if (!(await get(projectId)))
        throw new SteplogError("NOT_FOUND", `There is no project ${JSON.stringify(projectId)}.`);
      await database.transaction(async (tx) => {
        const added = await tx.insert(shares).values({ kind, objectId, projectId }).onConflictDoNothing().returning();
        if (added.length > 0) await written(tx, "shared", { kind, objectId, projectId });
      });
    },
    async unshare(kind, objectId, projectId) {
      const here = and(isOf(kind, objectId), eq(shares.projectId, projectId));
      await database.transaction(async (tx) => {
        const ended = await tx.delete(shares).where(here).returning();
        if (ended.length > 0) await written(tx, "unshared", { kind, objectId, projectId });
      });
    },
    async sharedWith(kind, objectId) {
      const rows = await database
        .select({ project: projects })
        .from(shares)
        .innerJoin(projects, eq(projects.id, shares.projectId))
        .where(isOf(kind, objectId))
        .orderBy(asc(projects.name));
      return rows.map(({ project }) => project);
    },
  };
}

const isOf = (kind: SharedKind, objectId: string) => and(eq(shares.kind, kind), eq(shares.objectId, objectId));

function isTaken(name: string): SteplogError {
  return new SteplogError("CONFLICT", `There is a project named ${JSON.stringify(name)}. Give another name.`, [
    { field: "name", message: "is taken" },
  ]);
}

async function rename(tx: Transaction, id: string, name: string): Promise<Project> {
  const here = eq(projects.id, id);
  const [before] = isUuid(id) ? await tx.select().from(projects).where(here).for("no key update") : [];
  if (!before) throw notThere("project", id);
  if (before.name === name) return before;
  const renamed = await tx
    .update(projects)
    .set({ name })
    .where(here)
    .returning()
    .catch((error: unknown) => {
      throw causeOf(error).code === "23505" ? isTaken(name) : error;
    });
  await audit(tx, { projectId: id, action: "project.renamed", object: before, details: { to: name } });
  return only(renamed);
}

const nouns = { CHECKPOINT: "checkpoint", DATASET: "dataset" } as const;

/** An object that was shared or is no longer, in the audit log of the project that has it. */
async function written(
  tx: Transaction,
  what: "shared" | "unshared",
  { kind, objectId, projectId }: { readonly kind: SharedKind; readonly objectId: string; readonly projectId: string },
): Promise<void> {
  const action: AuditAction = `${nouns[kind]}.${what}`;
  const [owner] = await ownerOf(tx, kind, objectId);
  if (!owner) throw notThere(nouns[kind], objectId);
  const object = { id: objectId, name: owner.name };
  await audit(tx, { projectId: owner.projectId, action, object, details: { project: projectId } });
}

function ownerOf(tx: Transaction, kind: SharedKind, id: string) {
  if (kind === "DATASET")
    return tx.select({ projectId: datasets.projectId, name: datasets.name }).from(datasets).where(eq(datasets.id, id));
  return tx
    .select({ projectId: fineTunes.projectId, name: fineTunes.name })
    .from(checkpoints)
    .innerJoin(fineTunes, eq(fineTunes.id, checkpoints.fineTuneId))
    .where(eq(checkpoints.id, id));
}
