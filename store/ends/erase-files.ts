/**
 * The files of a project that is erased. They are marked as due for a sweep in the transaction that deletes the rows that name
 * them, so that they go even if the erasure is killed; at its end it sweeps what is marked.
 *
 * What must stay true is what holds for every sweep: a blob that was just stored is there (sweep.ts). So one that somebody has
 * stored after the project named it keeps its day.
 */
import { type SQL, eq, sql } from "drizzle-orm";
import { looseBlobs } from "../../schema/blob-tables.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { removeLoose } from "./sweep.ts";

const due = sql`'epoch'::timestamptz`;

/** @param named hash, bytes, and when it was named. How many keep their day. */
export async function markFiles(tx: Transaction, named: SQL): Promise<number> {
  const files = sql`select f.hash, max(f.bytes) as bytes, max(f.named_at) as named_at from (
    select * from (${named}) as all_files (hash, bytes, named_at)) f group by f.hash`;
  await tx.execute(sql`update ${looseBlobs} l set since = ${due} from (${files}) f
    where l.sha256 = f.hash and l.since <= f.named_at`);
  await tx.execute(sql`insert into ${looseBlobs} (sha256, bytes, since)
    select hash, bytes, ${due} from (${files}) f order by hash on conflict (sha256) do nothing`);
  const [row] = await tx.execute<{ waiting: number }>(sql`
    select count(*)::int as waiting from ${looseBlobs} l join (${files}) f on f.hash = l.sha256 where l.since <> ${due}`);
  return row?.waiting ?? 0;
}

const atOnce = 100;

/** How many were removed: those that nothing else names. */
export async function removeMarked(database: Database, blobs: Blobs): Promise<number> {
  let count = 0;
  for (;;) {
    const marked = await database
      .select({ sha256: looseBlobs.sha256 })
      .from(looseBlobs)
      .where(eq(looseBlobs.since, due))
      .limit(atOnce);
    if (marked.length === 0) return count;
    for (const { sha256 } of marked) count += (await removeLoose(database, blobs, sha256)) ? 1 : 0;
  }
}
