/**
 * How much work waits and runs, by what it needs: what `steplog queue` shows, and what autoscalers query by themselves, so
 * columns stay. Measurements are for a worker that runs, and are left out. A request to register a found model counts as a
 * job of kind REGISTER, and one to download a model as DOWNLOAD.
 */
import { sql } from "drizzle-orm";
import { bigint, doublePrecision, jsonb, pgView, text } from "drizzle-orm/pg-core";
import type { JobKind, Needs } from "./jobs.ts";

const count = (name: string) => bigint(name, { mode: "number" }).notNull();

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
}).as(sql`
  select kind, needs #>> '{families,0}' as family, needs #>> '{models,0,name}' as model,
    needs #>> '{precisions,0}' as precision, coalesce((needs ->> 'memoryBytes')::bigint, 0) as memory_bytes, needs,
    count(*) filter (where is_next and coalesce(turn <= room, true)) as free,
    count(*) filter (where is_held) as held,
    count(*) filter (where not is_held and not (is_next and coalesce(turn <= room, true))) as waiting,
    extract(epoch from clock_timestamp() - min(created_at) filter (where not is_held))::float8 as oldest_seconds
  from (
    select kind, needs, created_at, is_held, is_next,
      case when kind = 'FINE_TUNE' then (select most from service_limits where name = 'concurrentRuns')
        - count(*) filter (where is_held) over (partition by kind) end as room,
      row_number() over (partition by kind, is_next order by others + place, id) as turn
    from (
      select id, kind, needs, created_at, is_held, place, others,
        not is_held and is_due and coalesce(place <= most - others, true) as is_next
      from (
        select id, kind, needs, created_at, is_held, is_due, case when kind = 'FINE_TUNE' then most end as most,
          count(*) filter (where is_held) over (partition by project_id, kind) as others,
          row_number() over (partition by project_id, kind, is_held, is_due order by priority desc, id) as place
        from (
          select id, kind, needs, created_at, project_id, priority,
            (select (quotas ->> 'concurrentRuns')::float8 from projects where projects.id = project_id) as most,
            coalesce(lease_expires_at >= clock_timestamp(), false) as is_held,
            coalesce(not_before <= clock_timestamp(), true) as is_due
          from jobs where not needs ? 'workers'
        ) as jobs
      ) as of_projects
    ) as of_all
    union all
    select 'REGISTER', '{}', requested_at, is_held, not is_held, null, null
    from (select requested_at, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held from found_models) as found
    where requested_at is not null
    union all
    select 'DOWNLOAD', '{}', requested_at, is_held, not is_held, null, null
    from (
      select requested_at, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held
      from model_downloads where finished_at is null
    ) as downloads
  ) as work
  group by kind, needs`);
