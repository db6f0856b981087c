/** Rows that a new one refers to. */
import { type SQL, and, eq, isNull } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { SteplogError } from "../../schema/errors.ts";
import { datasets } from "../../schema/tables.ts";
import { type Transaction, isUuid } from "./database.ts";

/** Keeps the row until the transaction ends, so that another can refer to it. @throws NOT_FOUND */
export async function requireRow(
  tx: Transaction,
  table: PgTable,
  column: PgColumn,
  id: string,
  noun: string,
  condition?: SQL,
): Promise<void> {
  const here = and(eq(column, id), condition);
  const found = isUuid(id) ? await tx.select({ id: column }).from(table).where(here).for("key share") : [];
  if (found.length === 0) throw new SteplogError("NOT_FOUND", `There is no ${noun} ${JSON.stringify(id)}.`);
}

/** One whose rows are there, and stay for what needs them. @throws NOT_FOUND */
export async function requireDataset(tx: Transaction, id: string, noun = "dataset"): Promise<void> {
  await requireRow(tx, datasets, datasets.id, id, noun, isNull(datasets.deletedAt));
}
