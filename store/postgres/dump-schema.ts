/**
 * Prints the tables of a migrated database in a fixed order. migrations/schema.sql keeps the result, so that reviewers see a
 * change of the schema as a diff. (The embedded Postgres comes without pg_dump.)
 *
 *   npm run schema:dump
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { packagePath } from "../../schema/package.ts";
import { startEmbeddedPostgres } from "./embedded.ts";
import { migrateDatabase } from "./migrate.ts";
import { readDatabaseUrl } from "./url.ts";

export const schemaFile = packagePath("migrations/schema.sql");

const columns = `
  select c.relname as table, format('  %I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then ' not null' else '' end,
    coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) as line
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
  order by c.relname, a.attnum`;

/** Without NOT NULL, which is part of the column. */
const constraints = `
  select conrelid::regclass::text as table, format('  constraint %I %s', conname, pg_get_constraintdef(oid)) as line
  from pg_constraint
  where connamespace = 'public'::regnamespace and conrelid <> 0 and contype <> 'n'
  order by contype = 'f', contype, conname`;

const others = `
  select pg_get_indexdef(i.indexrelid) || ';' as line
  from pg_index i join pg_class c on c.oid = i.indexrelid
  where c.relnamespace = 'public'::regnamespace
    and not exists (select 1 from pg_constraint where conindid = i.indexrelid)
  union all
  select format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s;', attrelid::regclass, attname,
    case attstorage when 'e' then 'EXTERNAL' when 'm' then 'MAIN' when 'p' then 'PLAIN' else 'EXTENDED' end)
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and attnum > 0 and attstorage <> typstorage`;

const functions = `
  select pg_get_functiondef(oid) || ';' as line from pg_proc where pronamespace = 'public'::regnamespace
  union all
  select pg_get_triggerdef(t.oid) || ';' from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where c.relnamespace = 'public'::regnamespace and not t.tgisinternal`;

/** Their columns: releases of Postgres print the queries differently. */
const views = `
  select format('-- view %s: %s', c.relname,
    string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)) as line
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'v' group by c.relname`;

export async function dumpSchema(databaseUrl: string): Promise<string> {
  const client = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const lines = [...(await rowsOf(client, columns)), ...(await rowsOf(client, constraints))];
    const names = [...new Set(lines.map(({ table }) => table))].toSorted();
    const tables = names.map((name) => {
      const body = lines.filter(({ table }) => table === name).map(({ line }) => line);
      return `create table ${name} (\n${body.join(",\n")}\n);`;
    });
    const rest = (await rowsOf(client, others)).map(({ line }) => line).toSorted();
    const shown = (await rowsOf(client, views)).map(({ line }) => line).toSorted();
    const code = (await rowsOf(client, functions)).map(({ line }) => line).toSorted();
    const head = "-- The end state of the migrations, for readers. Made by `npm run schema:dump`; do not edit.";
    return `${[head, ...tables, rest.join("\n"), ...shown, ...code].join("\n\n")}\n`;
  } finally {
    await client.end();
  }
}

async function rowsOf(client: postgres.Sql, statement: string): Promise<{ table: string; line: string }[]> {
  return client.unsafe<{ table: string; line: string }[]>(statement);
}

async function main(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "steplog-schema-"));
  const server = await startEmbeddedPostgres({ dataDir, durable: false });
  try {
    await migrateDatabase(readDatabaseUrl(server.url));
    await writeFile(schemaFile, await dumpSchema(server.url));
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
