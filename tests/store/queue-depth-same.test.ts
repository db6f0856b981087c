/** The view queue_depth was made fast, and says what it said before: the earlier definition, of its migration, is asked too. */
import { readFile } from "node:fs/promises";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await testDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const text = await readFile("migrations/0048_worker_pools.sql", "utf8");
  const view = text.slice(text.indexOf("CREATE OR REPLACE VIEW"));
  // It asks for a row of each run, which the views do not.
  await sql`alter table jobs disable trigger jobs_of_earlier_release`;
  await sql.unsafe(view.replace('"public"."queue_depth"', "queue_depth_before"));
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

const rows = (view: string) =>
  sql.unsafe(`
  select kind, family, model, precision, memory_bytes, needs, free, held, waiting, round(oldest_seconds / 60) as minutes,
    array(select unnest(held_by) order by 1) as held_by, left_by
  from ${view} order by kind, needs`);

test(
  "random queues: free, held, waiting, holders and pools as by the earlier definition",
  { timeout: 90_000 },
  async () => {
    const seen = { free: 0, held: 0, waiting: 0, left: 0, limited: 0 };
    for (let round = 0; round < 15; round++) {
      const limited = await fill(round);
      const [before, now] = [await rows("queue_depth_before"), await rows("queue_depth")];
      expect({ round, rows: [...now] }).toEqual({ round, rows: [...before] });
      for (const row of now) {
        for (const state of ["free", "held", "waiting"] as const) seen[state] += Number(row[state]);
        seen.left += Number((row["left_by"] as unknown[]).length > 0);
      }
      seen.limited += Number(limited);
    }
    // What all of them have to do with was there.
    expect(Object.entries(seen).filter(([, count]) => count < 5)).toEqual([]);
  },
);

/** Hours lie between what is past and what is to come, so that no clock decides. @returns whether all runs together are limited */
async function fill(round: number): Promise<boolean> {
  await sql`delete from jobs`;
  for (const table of ["worker_pools", "workers", "service_limits", "found_models", "model_downloads", "base_models"])
    await sql.unsafe(`delete from ${table}`);
  await sql`delete from projects where name like 'of-test-%'`;
  await sql`select setseed(${(round + 1) / 100})`;
  await sql.unsafe(projects);
  await sql.unsafe(jobs((round * 13) % 120));
  for (const statement of [workers, pools, models, requests]) await sql.unsafe(statement);
  if (round % 3 === 0) return false;
  const most = round % 3 === 1 ? (round % 12) + 1 : null;
  await sql`insert into service_limits (name, most) values ('concurrentRuns', ${most})`;
  return most !== null;
}

const oneOf = (...values: string[]) => `(array[${values.join(", ")}])[1 + floor(random() * ${values.length})::int]`;
const hours = (...offsets: (number | null)[]) =>
  oneOf(...offsets.map((offset) => (offset === null ? "null" : `now() + interval '${offset} hours'`)));

const projects = `insert into projects (name, quotas)
  select 'of-test-' || n, jsonb_strip_nulls(jsonb_build_object('concurrentRuns', ${oneOf("null", "null", "0", "1", "2", "5")}))
  from generate_series(1, 5) as n`;

const needs = `jsonb_strip_nulls(jsonb_build_object(
  'families', ${oneOf("null", `'["opt"]'::jsonb`, `'["llama"]'`)}, 'precisions', ${oneOf("null", `'["FLOAT32"]'::jsonb`, `'["BFLOAT16"]'`)},
  'models', ${oneOf("null", `'[{"name":"a","hash":"aa"}]'::jsonb`, `'[{"name":"b","hash":"bb"}]'`)},
  'memoryBytes', ${oneOf("null", "16", "1000")}, 'workers', ${oneOf(...Array<string>(9).fill("null"), `'["w1"]'::jsonb`)}))`;

const jobs = (count: number) => `insert into jobs
  (kind, subject, needs, project_id, priority, created_at, not_before, lease_worker, lease_expires_at)
  select kind, gen_random_uuid(), needs, project_id, priority, created_at, not_before, worker,
    case when worker is not null or random() < 0.1 then ${hours(5, 5, -5)} end
  from (
    select n, ${oneOf("'FINE_TUNE'", "'FINE_TUNE'", "'FINE_TUNE'", "'EVALUATE'", "'COMPLETE'", "'MEASURE'")} as kind, ${needs} as needs,
      (array(select id from projects order by name))[1 + floor(random() * (select count(*) from projects))::int] as project_id,
      floor(random() * 3)::int as priority, ${hours(-1, -2, -3, -4)} as created_at, ${hours(null, null, -5, 5)} as not_before,
      ${oneOf("null", "null", "null", "'w1'", "'w2/serve'", "'w3'", "'gone'")} as worker
    from generate_series(1, ${count}) as n
  ) as jobs`;

const workers = `insert into workers (id, name, device, kinds, families, precisions, memory_bytes, models, version, last_seen_at, pool)
  select gen_random_uuid(), name, 'plain', '[]', '[]', '[]', 1, '[]', '1', now() - interval '1 minute' * n, ${oneOf("null", "'cpu'", "'gpu'")}
  from unnest(array['w1', 'w1', 'w2', 'w3']) with ordinality as workers (name, n)`;

const pools = `insert into worker_pools (name, kinds, families, precisions, models, memory_bytes, serving_bytes, seen_at)
  select name, ${oneOf(`'["FINE_TUNE"]'::jsonb`, `'["FINE_TUNE","EVALUATE","COMPLETE","MEASURE"]'`)},
    ${oneOf(`'["opt"]'::jsonb`, `'["opt","llama"]'`)}, ${oneOf(`'["FLOAT32"]'::jsonb`, `'["FLOAT32","BFLOAT16"]'`)},
    ${oneOf(`'[{"name":"a","hash":"aa"}]'::jsonb`, `'[{"name":"a","hash":"aa"},{"name":"b","hash":"bb"}]'`)},
    ${oneOf("16", "1000")}, ${oneOf("0", "16", "1000")}, now() - interval '1 minute' * ${oneOf("5", "10", "90")}
  from unnest(array['cpu', 'gpu']) as name where random() < 0.7`;

const models = `insert into base_models (name, hash, family, dtype, parameters, bytes, context_length, created_at)
  select name, name || name, 'opt', 'F32', 1, 4, 32, ${hours(-20, -20, 0)} from unnest(array['a', 'b']) as name`;

const requests = `with found as (
    insert into found_models (name, requested_at, claimed_by, claim_expires_at)
    select n, ${hours(null, -1, -2)}, ${oneOf("null", "'w1'", "'w2'", "'gone'")}, ${hours(null, 5, -5)} from generate_series(1, 4) as n
  ) insert into model_downloads (name, repository, revision, requested_at, claimed_by, claim_expires_at, finished_at)
    select n, 'r', 'main', ${hours(-1, -2)}, ${oneOf("null", "'w1'", "'w2'", "'gone'")}, ${hours(null, 5, -5)}, ${hours(null, null, -1)}
    from generate_series(1, 4) as n`;
