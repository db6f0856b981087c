/**
 * How much work waits and runs, by what it needs: what `steplog queue` shows, and what autoscalers query by themselves, so
 * columns stay. Measurements are for a worker that runs, and are left out. A request to register a found model counts as a
 * job of kind REGISTER, and one to download a model as DOWNLOAD.
 */
import { type SQL, sql } from "drizzle-orm";
import { bigint, doublePrecision, jsonb, pgView, text } from "drizzle-orm/pg-core";
import type { JobKind, Needs } from "./jobs.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull();

/** Whether somebody has it; null counts as nobody. */
const isHeld = (until: SQL) => sql`coalesce(${until} >= clock_timestamp(), false)`;

/** The pools whose workers have looked, not long ago. */
const pools = sql`
    select * from worker_pools where seen_at > clock_timestamp() - interval '30 minutes'`;

/**
 * The one look at every job, at its narrow columns only: jobs are told apart by a hash of what they need, since comparing all of
 * that takes most of the time of a long queue.
 */
const counted = sql`
    select kind, needs_hash, project_id, ${isHeld(sql`lease_expires_at`)} as is_held,
      coalesce(not_before <= clock_timestamp(), true) as is_due, count(*) as jobs, min(created_at) as oldest, min(id) as one
    from jobs group by kind, needs_hash, project_id, is_held, is_due`;

const sorts = sql`
    select kind, needs_hash, needs, array(
      select name from pools
      where not (
        kinds ? kind
        and jsonb_build_object('families', families, 'models', models, 'precisions', precisions) @> (needs - 'memoryBytes')
        and coalesce((needs ->> 'memoryBytes')::bigint, 0) <= case when kind = 'COMPLETE' then serving_bytes else memory_bytes end
      ) and not exists (
        select from base_models where hash = needs #>> '{models,0,hash}' and created_at > seen_at
      ) order by name
    ) as left_by
    from jobs where id in (select min(one) from counted group by kind, needs_hash) and not needs ? 'workers'`;

/** Projects with runs of which only so many more may be trained: of their own (room), and of all together (room_of_all). */
const limited = sql`
    select project_id, held, least(own, room_of_all) as room, room_of_all
    from (
      select project_id, held, (quotas ->> 'concurrentRuns')::float8 - held as own,
        (select most from service_limits where name = 'concurrentRuns') - sum(held) over () as room_of_all
      from (
        select project_id, coalesce(sum(jobs) filter (where is_held), 0)::float8 as held
        from counted join sorts using (kind, needs_hash) where kind = 'FINE_TUNE' group by project_id
      ) as runs join projects on projects.id = project_id
    ) as rooms where own is not null or room_of_all is not null`;

/**
 * Of their free runs those that may be trained next. What no pool can do is behind all others, and takes nobody's place. Postgres
 * would read and sort all runs of a project; what is within a case it takes to be true of half of them, so it reads the first ones
 * by their index.
 */
const next = sql`
    select needs_hash, count(*) as jobs
    from (
      select needs_hash, room_of_all, row_number() over (order by is_left, held + place, id) as turn
      from (
        select *, row_number() over (partition by project_id order by is_left, priority desc, id) as place
        from limited
        cross join (
          select left_by <> '{}' and cardinality(left_by) = (select count(*) from pools) as is_left, array_agg(needs_hash) as hashes
          from sorts where kind = 'FINE_TUNE' group by is_left
        ) as part
        cross join lateral (
          select id, needs_hash, priority from jobs
          where project_id = limited.project_id and case when kind = 'FINE_TUNE' and not ${isHeld(sql`lease_expires_at`)}
            and coalesce(not_before <= clock_timestamp(), true) and needs_hash = any(hashes) then true else false end
          order by priority desc, id limit floor(least(greatest(room, 0), 1e9))::bigint
        ) as first
      ) as jobs where place <= room
    ) as runs where coalesce(turn <= room_of_all, true) group by needs_hash`;

/** Each state of each sort, by how many there are of it. */
const states = sql`
    select kind, needs_hash, sum(jobs) filter (where is_free) as free, sum(jobs) filter (where is_held) as held,
      sum(jobs) filter (where not is_free and not is_held) as waiting, min(oldest) filter (where not is_held) as oldest
    from (
      select *, is_due and not is_held and (kind <> 'FINE_TUNE' or project_id not in (select project_id from limited)) as is_free
      from counted
    ) as counted group by kind, needs_hash
    union all
    select 'FINE_TUNE', needs_hash, jobs, 0, -jobs, null from next`;

/** Of workers of one name the last that was seen. */
const lastSeen = sql`
    select distinct on (name) name, pool from workers order by name, last_seen_at desc`;

/** A row for each job that a worker with a pool has. Requests are held by another name of a worker (store/queue/lease-names.ts). */
const holders = sql`
    select kind, needs_hash, pool
    from jobs join last_seen on name = case when kind = 'COMPLETE' then left(lease_worker, -length('/serve')) else lease_worker end
    where lease_worker is not null and ${isHeld(sql`lease_expires_at`)} and pool is not null`;

/** Each is free or held. */
const requests = (kind: string, from: SQL) => sql`
    select '${sql.raw(kind)}', '{}', '{}', (not is_held)::int, is_held::int, 0, case when not is_held then requested_at end, pool
    from (select requested_at, claimed_by, ${isHeld(sql`claim_expires_at`)} as is_held ${from}) as requests
    left join last_seen on is_held and name = claimed_by`;

export const queueDepth = pgView("queue_depth", {
  kind: text("kind").$type<JobKind | "REGISTER" | "DOWNLOAD">().notNull(),
  family: text("family"),
  model: text("model"),
  precision: text("precision"),
  /** A lower bound of what a worker needs; 0 where it is not known. */
  memoryBytes: count("memory_bytes"),
  /** Everything that is needed. */
  needs: jsonb("needs").$type<Needs>().notNull(),
  /** May be claimed now. */
  free: count("free"),
  /** By a worker that renews its lease. */
  held: count("held"),
  /**
   * For their time, after a failed attempt; or until fewer runs of their project, or of all, are trained than may be at once
   * (service_limits).
   */
  waiting: count("waiting"),
  /** Since the oldest that is not held was created; null when all are held. */
  oldestSeconds: doublePrecision("oldest_seconds"),
  /** The pools of the workers that hold some (worker_pools), each as often as it holds one; those without a pool are left out. */
  heldBy: text("held_by").array().notNull(),
  /**
   * The pools whose workers have looked at such work and cannot do it, whatever is ahead: starting more of them is in vain.
   * After half an hour without a worker nobody knows any more, nor once the base model was registered after the last look.
   */
  leftBy: text("left_by").array().notNull(),
}).as(sql`
  with pools as (${pools}
  ), counted as materialized (${counted}
  ), sorts as materialized (${sorts}
  ), limited as materialized (${limited}
  ), next as (${next}
  ), last_seen as materialized (${lastSeen}
  ), holders as (${holders}
  ), states as (${states}
  )
  select kind, needs #>> '{families,0}' as family, needs #>> '{models,0,name}' as model,
    needs #>> '{precisions,0}' as precision, coalesce((needs ->> 'memoryBytes')::bigint, 0) as memory_bytes, needs,
    coalesce(sum(free), 0)::bigint as free, coalesce(sum(held), 0)::bigint as held, coalesce(sum(waiting), 0)::bigint as waiting,
    extract(epoch from clock_timestamp() - min(oldest))::float8 as oldest_seconds,
    coalesce(array_agg(held_by) filter (where held_by is not null), '{}') as held_by, left_by
  from (
    select kind, needs, left_by, free, held, waiting, oldest, null as held_by from states join sorts using (kind, needs_hash)
    union all
    select kind, needs, left_by, 0, 0, 0, null, pool from holders join sorts using (kind, needs_hash)
    union all${requests("REGISTER", sql`from found_models where requested_at is not null`)}
    union all${requests("DOWNLOAD", sql`from model_downloads where finished_at is null`)}
  ) as work
  group by kind, needs, left_by`);
