/** Projects by id and name, and what they share. */
import { and, asc, eq, inArray } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { type Project, projects, shares } from "../../schema/project-tables.ts";
import type { SharedKind } from "../../schema/projects.ts";
import { type Page, pageOf } from "../pages.ts";
import { type Database, inOrderOf } from "../postgres/database.ts";

export interface Projects {
  /** @throws CONFLICT for a name that is taken */
  create(name: string): Promise<Project>;
  get(id: string): Promise<Project | null>;
  getByName(name: string): Promise<Project | null>;
  byIds(ids: readonly string[]): Promise<(Project | null)[]>;
  /** Newest first. */
  list(page: Page): Promise<Project[]>;
  /** Lets a project read a checkpoint or dataset of another. Repeating it changes nothing. @throws NOT_FOUND for an unknown project */
  share(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  /** Takes that back. Repeating it changes nothing. */
  unshare(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  /** The projects that may read it, by name. */
  sharedWith(kind: SharedKind, objectId: string): Promise<Project[]>;
}

const keys = { table: projects, sort: projects.createdAt, id: projects.id };

export function projectsOf(database: Database): Projects {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(projects).where(inArray(projects.id, wanted)));
  const get = async (id: string) => (await byIds([id]))[0] ?? null;
  return {
    byIds,
    get,
    async create(name) {
      const [made] = await database.insert(projects).values({ name }).onConflictDoNothing().returning();
      if (made) return made;
      throw new SteplogError("CONFLICT", `There is a project named ${JSON.stringify(name)}. Give another name.`, [
        { field: "name", message: "is taken" },
      ]);
    },
    async getByName(name) {
      const [found] = await database.select().from(projects).where(eq(projects.name, name));
      return found ?? null;
    },
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
      await database.insert(shares).values({ kind, objectId, projectId }).onConflictDoNothing();
    },
    async unshare(kind, objectId, projectId) {
      await database.delete(shares).where(and(isOf(kind, objectId), eq(shares.projectId, projectId)));
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
