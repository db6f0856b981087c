/** Results of checks of rows. They depend on nothing but their key, so they are kept until nobody has asked for long. */
import { eq, lt, sql } from "drizzle-orm";
import { rowChecks } from "../schema/tables.ts";
import type { Database } from "./postgres/database.ts";

export interface RowChecks {
  /** Null for a check that was not made. */
  get(key: string): Promise<CheckedRows | null>;
  keep(key: string, checked: CheckedRows): Promise<void>;
}

export type CheckedRows = Pick<typeof rowChecks.$inferSelect, "problem" | "findings">;

const forgottenAfter = sql`now() - interval '90 days'`;

export function rowChecksOf(database: Database): RowChecks {
  return {
    async get(key) {
      const [found] = await database.select().from(rowChecks).where(eq(rowChecks.key, key));
      return found ?? null;
    },
    async keep(key, { problem, findings }) {
      await database.delete(rowChecks).where(lt(rowChecks.checkedAt, forgottenAfter));
      await database.insert(rowChecks).values({ key, problem, findings }).onConflictDoNothing();
    },
  };
}
