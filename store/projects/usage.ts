/**
 * What projects use, by day. It is added in the transaction that stores what was used, to rows of that session alone: with rows
 * that a project's transactions share, a process that freezes within one of them would hold up all others.
 */
import { type SQL, and, asc, eq, gte, lte, sql } from "drizzle-orm";
import { usageDays } from "../../schema/project-tables.ts";
import { type UsageDay, type UsageKind, usageKinds } from "../../schema/usage.ts";
import type { Database, Executor, Transaction } from "../postgres/database.ts";

export interface Use {
  readonly projectId: string;
  readonly kind: UsageKind;
  readonly amount: number;
}

/** In SQL: the day in UTC. */
const today = sql`(now() at time zone 'utc')::date`;

/** What is 0 leaves no row. */
export async function addUsage(tx: Transaction, uses: readonly Use[]): Promise<void> {
  const used = uses.filter(({ amount }) => amount > 0);
  if (used.length === 0) return;
  // One JSON parameter keeps the statement the same whatever the number of rows.
  await tx.execute(
    usageFrom(
      sql`select * from jsonb_to_recordset(${JSON.stringify(used)}::jsonb) as used ("projectId" uuid, kind text, amount float8)`,
    ),
  );
}

/** The statement that adds what was used. @param uses a query for project, kind and amount; amounts of 0 leave no row */
export function usageFrom(uses: SQL): SQL {
  return sql`
    insert into ${usageDays} (project_id, day, kind, session, amount)
    select project_id, ${today}, kind, pg_backend_pid(), sum(amount)
    from (${uses}) as used (project_id, kind, amount)
    where amount > 0 group by project_id, kind order by project_id, kind
    on conflict (project_id, day, kind, session) do update set amount = ${usageDays.amount} + excluded.amount`;
}

/** @param from and @param to the first and the last day, as 2026-01-31; days on which nothing was used are left out */
export async function usageOf(
  database: Database,
  { projectId, from, to }: { readonly projectId: string; readonly from: string; readonly to: string },
): Promise<UsageDay[]> {
  const { day } = usageDays;
  const rows = await database
    .select()
    .from(usageDays)
    .where(and(eq(usageDays.projectId, projectId), gte(day, from), lte(day, to)))
    .orderBy(asc(day));
  const days = new Map<string, Record<UsageKind, number>>();
  for (const row of rows) {
    const known = days.get(row.day) ?? nothing();
    days.set(row.day, { ...known, [row.kind]: known[row.kind] + row.amount });
  }
  return [...days].map(([of, used]) => ({ day: of, ...used }));
}

const nothing = () => Object.fromEntries(usageKinds.map((kind) => [kind, 0])) as Record<UsageKind, number>;

/** What a project used since the first of the month. */
export async function usedThisMonth(
  database: Executor,
  projectId: string,
  kinds: readonly UsageKind[],
): Promise<number> {
  const month = sql`date_trunc('month', now() at time zone 'utc')::date`;
  const [row] = await database.execute<{ used: number }>(sql`
    select coalesce(sum(amount), 0)::float8 as used from ${usageDays}
    where project_id = ${projectId} and day >= ${month} and kind in ${[...kinds]}`);
  return row?.used ?? 0;
}
