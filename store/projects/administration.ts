/**
 * Projects, keys and shares, as one viewer may see and change them. An operator (admin of the default project) acts for all
 * projects. An admin of another project acts for that project only, and sees no other.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { ApiKey, Project } from "../../schema/project-tables.ts";
import { type Scope, type SharedKind, type Viewer, isOperator } from "../../schema/projects.ts";
import type { BaseModels } from "../models/base-models.ts";
import type { ArchiveOptions } from "../archive/files.ts";
import { type ProjectArchive, exportProject } from "../archive/export.ts";
import type { Blobs } from "../blobs/blobs.ts";
import { type Erasure, eraseProject } from "../ends/erase.ts";
import type { Page } from "../pages.ts";
import type { Database } from "../postgres/database.ts";
import type { Keys, MadeKey, NewKey } from "./keys.ts";
import type { Projects } from "./projects.ts";
import { type Sight, notThere, projectFor } from "./sight.ts";

export interface Administration {
  /** The viewer's own project. */
  project(): Promise<Project>;
  /** By id, null for one that is not the viewer's. */
  projectsByIds(ids: readonly string[]): Promise<(Project | null)[]>;
  /** All of them for an operator, else the viewer's own. */
  projects(page: Page): Promise<Project[]>;
  countProjects(): Promise<number>;
  createProject(name: string): Promise<Project>;
  /** @throws FORBIDDEN for whoever is no operator; NOT_FOUND; CONFLICT */
  renameProject(id: string, name: string): Promise<Project>;
  /** Deletes a base model for everybody; false if there is none. @throws FORBIDDEN for whoever is no operator; CONFLICT, with names, while something needs it */
  deleteBaseModel(id: string): Promise<boolean>;
  /** Everything that a project has: the viewer's own, or for an operator any. @throws NOT_FOUND */
  exportProject(id: string, options: ArchiveOptions): Promise<ProjectArchive>;
  /**
   * @param name to confirm
   * @throws FORBIDDEN for whoever is no operator; NOT_FOUND; INVALID_ARGUMENT for another name; INVALID_STATE; CONFLICT
   */
  eraseProject(id: string, name: string): Promise<Erasure>;
  /** The key that the request came with. */
  ownKey(): Promise<ApiKey | null>;
  /** By id, null for one that is not of the viewer's project. */
  keysByIds(ids: readonly string[]): Promise<(ApiKey | null)[]>;
  /** Of the viewer's project, or for an operator of any. */
  keys(page: Page & { readonly projectId?: string | undefined }): Promise<ApiKey[]>;
  countKeys(projectId?: string): Promise<number>;
  createKey(input: Omit<NewKey, "projectId"> & { readonly projectId?: string | undefined }): Promise<MadeKey>;
  rotateKey(id: string, overlapS: number): Promise<MadeKey>;
  renameKey(id: string, name: string): Promise<ApiKey>;
  revokeKey(id: string): Promise<ApiKey>;
  /** False if there is none. @throws INVALID_STATE for one that is in use, and for the last one */
  deleteKey(id: string): Promise<boolean>;
  share(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  unshare(kind: SharedKind, objectId: string, projectId: string): Promise<void>;
  /** None for what others share with the viewer's project. */
  sharedWith(kind: SharedKind, objectId: string): Promise<Project[]>;
}

interface Room {
  readonly projects: Projects;
  readonly keys: Keys;
  readonly baseModels: BaseModels;
  readonly database: Database;
  readonly blobs: Blobs;
  readonly sight: Sight;
  readonly viewer: Viewer;
  readonly may: (scope: Scope) => void;
}

export function administrationOf({
  projects,
  keys,
  baseModels,
  database,
  blobs,
  sight,
  viewer,
  may,
}: Room): Administration {
  const { projectId } = viewer;
  const isMine = (id: string) => isOperator(viewer) || id === projectId;
  const ownKey = async (id: string) => {
    may("admin");
    const key = await keys.get(id);
    if (!key || !isMine(key.projectId)) throw notThere("API key", id);
  };
  const owns = async (kind: SharedKind, id: string) => {
    may("write");
    if (!(await sight.owns(kind, id))) throw notThere(kind.toLowerCase(), id);
  };
  return {
    async project() {
      const found = await projects.get(projectId);
      if (!found) throw notThere("project", projectId);
      return found;
    },
    projectsByIds: async (ids) => (await projects.byIds(ids)).map((one) => (one && isMine(one.id) ? one : null)),
    async projects(page) {
      may("admin");
      if (isOperator(viewer)) return projects.list(page);
      const own = await projects.get(projectId);
      return own && page.after === undefined && page.before === undefined ? [own] : [];
    },
    async countProjects() {
      may("admin");
      return isOperator(viewer) ? projects.count() : 1;
    },
    async createProject(name) {
      may("admin");
      if (isOperator(viewer)) return projects.create(name);
      throw new SteplogError("FORBIDDEN", "Only an operator makes projects: a key of the default project with admin.");
    },
    async renameProject(id, name) {
      may("admin");
      if (isOperator(viewer)) return projects.rename(id, name);
      throw new SteplogError(
        "FORBIDDEN",
        "Only an operator renames projects: a key of the default project with admin.",
      );
    },
    async deleteBaseModel(id) {
      may("admin");
      if (!isOperator(viewer)) {
        const who =
          "Only an operator deletes base models, which are everybody's: a key of the default project with admin.";
        throw new SteplogError("FORBIDDEN", who);
      }
      const model = await baseModels.get(id);
      if (model) await baseModels.unregister(model.name);
      return model !== null;
    },
    async exportProject(id, options) {
      may("admin");
      return exportProject({ database, blobs }, projectFor(viewer, id), options);
    },
    async eraseProject(id, name) {
      may("admin");
      if (isOperator(viewer)) return eraseProject(database, blobs, { id, confirmed: name });
      throw new SteplogError("FORBIDDEN", "Only an operator erases projects: a key of the default project with admin.");
    },
    ownKey: async () => (viewer.key ? keys.get(viewer.key.id) : null),
    async keysByIds(ids) {
      may("admin");
      const found = await Promise.all(ids.map((id) => keys.get(id)));
      return found.map((key) => (key && isMine(key.projectId) ? key : null));
    },
    async keys({ projectId: asked = projectId, ...page }) {
      may("admin");
      return keys.list({ ...page, projectId: projectFor(viewer, asked) });
    },
    async countKeys(asked = projectId) {
      may("admin");
      return keys.count(projectFor(viewer, asked));
    },
    async createKey({ projectId: asked = projectId, ...input }) {
      may("admin");
      return keys.create({ ...input, projectId: projectFor(viewer, asked) });
    },
    async rotateKey(id, overlapS) {
      await ownKey(id);
      return keys.rotate(id, overlapS);
    },
    async renameKey(id, name) {
      await ownKey(id);
      return keys.rename(id, name);
    },
    async revokeKey(id) {
      await ownKey(id);
      return keys.revoke(id);
    },
    async deleteKey(id) {
      may("admin");
      const key = await keys.get(id);
      return key !== null && isMine(key.projectId) && keys.delete(id);
    },
    async share(kind, objectId, to) {
      await owns(kind, objectId);
      return projects.share(kind, objectId, to);
    },
    async unshare(kind, objectId, from) {
      await owns(kind, objectId);
      return projects.unshare(kind, objectId, from);
    },
    async sharedWith(kind, objectId) {
      may("read");
      return (await sight.owns(kind, objectId)) ? projects.sharedWith(kind, objectId) : [];
    },
  };
}
