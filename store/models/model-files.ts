/**
 * Stored files of base models: a worker that has a model's folder stores its files as blobs, and other machines copy from there
 * what they lack. They hold for one hash only: a model's weights may be replaced by others of the same name.
 */
import { and, asc, eq } from "drizzle-orm";
import { type WeightsFile, baseModelFiles, baseModels } from "../../schema/tables.ts";
import type { NamedModel } from "../../schema/jobs.ts";
import type { Database } from "../postgres/database.ts";

export interface StoredModel extends NamedModel {
  /** Of all its files. */
  readonly bytes: number;
}

export interface ModelFiles {
  /** Says where the files of a base model are. All of them are stored. */
  keep(baseModelId: string, hash: string, files: readonly WeightsFile[]): Promise<void>;
  /** Null when nobody has stored them. */
  of(baseModelId: string): Promise<readonly WeightsFile[] | null>;
  /** In order of name. */
  list(): Promise<StoredModel[]>;
}

const sameHash = and(eq(baseModels.id, baseModelFiles.baseModelId), eq(baseModels.hash, baseModelFiles.hash));

export function modelFilesOf(database: Database): ModelFiles {
  return {
    async keep(baseModelId, hash, files) {
      const row = { hash, files };
      const target = baseModelFiles.baseModelId;
      await database
        .insert(baseModelFiles)
        .values({ baseModelId, ...row })
        .onConflictDoUpdate({ target, set: row });
    },
    async of(baseModelId) {
      const [found] = await database
        .select({ files: baseModelFiles.files })
        .from(baseModelFiles)
        .innerJoin(baseModels, sameHash)
        .where(eq(baseModels.id, baseModelId));
      return found?.files ?? null;
    },
    async list() {
      const rows = await database
        .select({ name: baseModels.name, hash: baseModels.hash, files: baseModelFiles.files })
        .from(baseModelFiles)
        .innerJoin(baseModels, sameHash)
        .orderBy(asc(baseModels.name));
      return rows.map(({ files, ...model }) => ({ ...model, bytes: files.reduce((sum, file) => sum + file.bytes, 0) }));
    },
  };
}
