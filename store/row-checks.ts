/** Results of checks of rows. They depend on nothing but their key, so they are kept until nobody has asked for long. */
import { eq, lt, sql } from "drizzle-orm";
import { type RowsProblem, rowChecks } from "../schema/tables.ts";
import type { Database } from "./postgres/database.ts";

export interface RowChecks {
  /** Null for a check that was not made. */
  get(key: string): Promise<{ readonly problem: RowsProblem | null } | null>;
  keep(key: string, problem: RowsProblem | null): Promise<void>;
}

const forgottenAfter = sql`now() - interval '90 days'`;

export function rowChecksOf(database: Database): RowChecks {
  return {
    async get(key) {
      const [found] = await database.select().from(rowChecks).where(eq(rowChecks.key, key));
      return found ?? null;
    },
    async keep(key, problem) {
      await database.delete(rowChecks).where(lt(rowChecks.checkedAt, forgottenAfter));
      await database.insert(rowChecks).values({ key, problem }).onConflictDoNothing();
    },
  };
}
