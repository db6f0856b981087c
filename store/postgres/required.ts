/** Rows that a new one refers to. */
import { eq } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { SteplogError } from "../../schema/errors.ts";
import { type Transaction, isUuid } from "./database.ts";

/** Keeps the row until the transaction ends, so that another can refer to it. @throws NOT_FOUND */
export async function requireRow(
  tx: Transaction,
  table: PgTable,
  column: PgColumn,
  id: string,
  noun: string,
): Promise<void> {
  const found = isUuid(id) ? await tx.select({ id: column }).from(table).where(eq(column, id)).for("key share") : [];
  if (found.length === 0) throw new SteplogError("NOT_FOUND", `There is no ${noun} ${JSON.stringify(id)}.`);
}
