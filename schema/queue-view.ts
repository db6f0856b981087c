/**
 * How much work waits and runs, by what it needs: what `steplog queue` shows, and what autoscalers query by themselves, so
 * columns stay. Measurements are for a worker that runs, and are left out. A request to register a found model counts as a
 * job of kind REGISTER, and one to download a model as DOWNLOAD.
 */
import { type SQL, sql } from "drizzle-orm";
import { bigint, doublePrecision, jsonb, pgView, text } from "drizzle-orm/pg-core";
import type { JobKind, Needs } from "./jobs.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull();

/** The pool of the worker that has a claim; null without one. Requests are held by another name of a worker (store/queue/lease-names.ts). */
const poolOf = (worker: SQL, until: SQL) => sql`case when ${until} >= clock_timestamp() then (
              select pool from workers where name = ${worker} order by last_seen_at desc limit 1
            ) end`;

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
  with pools as (
    select * from worker_pools where seen_at > clock_timestamp() - interval '30 minutes'
  ), sorts as materialized (
    select kind, needs, array(
      select name from pools
      where not (
        kinds ? kind
        and jsonb_build_object('families', families, 'models', models, 'precisions', precisions) @> (needs - 'memoryBytes')
        and coalesce((needs ->> 'memoryBytes')::bigint, 0) <= case when kind = 'COMPLETE' then serving_bytes else memory_bytes end
      ) and not exists (
        select from base_models where hash = needs #>> '{models,0,hash}' and created_at > seen_at
      ) order by name
    ) as left_by
    from (select distinct kind, needs from jobs where not needs ? 'workers') as jobs
  )
  select kind, needs #>> '{families,0}' as family, needs #>> '{models,0,name}' as model,
    needs #>> '{precisions,0}' as precision, coalesce((needs ->> 'memoryBytes')::bigint, 0) as memory_bytes, needs,
    count(*) filter (where is_next and coalesce(turn <= room, true)) as free,
    count(*) filter (where is_held) as held,
    count(*) filter (where not is_held and not (is_next and coalesce(turn <= room, true))) as waiting,
    extract(epoch from clock_timestamp() - min(created_at) filter (where not is_held))::float8 as oldest_seconds,
    coalesce(array_agg(held_by) filter (where held_by is not null), '{}') as held_by, left_by
  from (
    select kind, needs, created_at, is_held, is_next, held_by, left_by,
      case when kind = 'FINE_TUNE' then (select most from service_limits where name = 'concurrentRuns')
        - count(*) filter (where is_held) over (partition by kind) end as room,
      row_number() over (partition by kind, is_next order by is_left, others + place, id) as turn
    from (
      select id, kind, needs, created_at, is_held, place, others, held_by, left_by, is_left,
        not is_held and is_due and coalesce(place <= most - others, true) as is_next
      from (
        select id, kind, needs, created_at, is_held, is_due, held_by, left_by, is_left, case when kind = 'FINE_TUNE' then most end as most,
          count(*) filter (where is_held) over (partition by project_id, kind) as others,
          row_number() over (partition by project_id, kind, is_held, is_due order by is_left, priority desc, id) as place
        from (
          select id, kind, needs, created_at, project_id, priority, left_by,
            left_by <> '{}' and cardinality(left_by) = (select count(*) from pools) as is_left,
            (${poolOf(sql`case when kind = 'COMPLETE' then left(lease_worker, -length('/serve')) else lease_worker end`, sql`lease_expires_at`)}) as held_by,
            (select (quotas ->> 'concurrentRuns')::float8 from projects where projects.id = project_id) as most,
            coalesce(lease_expires_at >= clock_timestamp(), false) as is_held,
            coalesce(not_before <= clock_timestamp(), true) as is_due
          from jobs join sorts using (kind, needs)
        ) as jobs
      ) as of_projects
    ) as of_all
    union all
    select 'REGISTER', '{}', requested_at, is_held, not is_held, held_by, '{}', null, null
    from (
      select requested_at, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held,
        (${poolOf(sql`claimed_by`, sql`claim_expires_at`)}) as held_by
      from found_models
    ) as found
    where requested_at is not null
    union all
    select 'DOWNLOAD', '{}', requested_at, is_held, not is_held, held_by, '{}', null, null
    from (
      select requested_at, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held,
        (${poolOf(sql`claimed_by`, sql`claim_expires_at`)}) as held_by
      from model_downloads where finished_at is null
    ) as downloads
  ) as work
  group by kind, needs, left_by`);
