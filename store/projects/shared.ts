/** What projects share, to be read by others. */
import { and, eq, inArray, sql } from "drizzle-orm";
import type { SQL } from "drizzle-orm";
import { shares } from "../../schema/project-tables.ts";
import type { SharedKind } from "../../schema/projects.ts";
import { type Database, isUuid } from "../postgres/database.ts";

/** The ids of what a project may read of others, as a query. */
export function sharedWith(projectId: string, kind: SharedKind): SQL {
  return sql`select ${shares.objectId} from ${shares} where ${shares.projectId} = ${projectId} and ${shares.kind} = ${kind}`;
}

/** Those of the ids that a project may read. */
export async function sharedOf(
  database: Database,
  { projectId, kind, ids }: { readonly projectId: string; readonly kind: SharedKind; readonly ids: readonly string[] },
): Promise<ReadonlySet<string>> {
  const known = ids.filter(isUuid);
  if (known.length === 0) return new Set();
  const mine = and(eq(shares.projectId, projectId), eq(shares.kind, kind), inArray(shares.objectId, known));
  const rows = await database.select({ id: shares.objectId }).from(shares).where(mine);
  return new Set(rows.map(({ id }) => id));
}
