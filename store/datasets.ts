/** Datasets: names for checked rows. The bytes are in the blob store. */
import { and, inArray } from "drizzle-orm";
import { type Dataset, datasets } from "../schema/tables.ts";
import { type Page, pageOf } from "./pages.ts";
import { type Database, inOrderOf, only } from "./postgres/database.ts";

export interface NewDataset {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
}

export interface Datasets {
  create(dataset: NewDataset): Promise<Dataset>;
  get(id: string): Promise<Dataset | null>;
  list(page: Page): Promise<Dataset[]>;
  byIds(ids: readonly string[]): Promise<(Dataset | null)[]>;
}

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
