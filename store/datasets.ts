/** Names for checked rows; the bytes lie in the blob store. */
import { and, inArray } from "drizzle-orm";
import { datasets } from "../schema/tables.ts";
import { type Database, inOrderOf, only } from "./postgres/database.ts";
import { pageOf } from "./pages.ts";
import type { Datasets } from "./types.ts";

const keys = { table: datasets, sort: datasets.createdAt, id: datasets.id };

export function datasetsOf(database: Database): Datasets {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(datasets).where(inArray(datasets.id, wanted)));
  return {
    byIds,
    get: async (id) => (await byIds([id]))[0] ?? null,
    create: async (dataset) => only(await database.insert(datasets).values(dataset).returning()),
    async list(page) {
      const { where, order } = await pageOf(database, keys, page);
      return database
        .select()
        .from(datasets)
        .where(and(...where))
        .orderBy(...order)
        .limit(page.limit);
    },
  };
}
