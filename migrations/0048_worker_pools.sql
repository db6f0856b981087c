CREATE TABLE "worker_pools" (
	"name" text PRIMARY KEY NOT NULL,
	"kinds" jsonb NOT NULL,
	"families" jsonb NOT NULL,
	"precisions" jsonb NOT NULL,
	"models" jsonb NOT NULL,
	"memory_bytes" bigint NOT NULL,
	"serving_bytes" bigint NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "pool" text;--> statement-breakpoint
-- Replaced and not dropped: whoever was granted to read it (an autoscaler) may still.
CREATE OR REPLACE VIEW "public"."queue_depth" AS (
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
            (case when lease_expires_at >= clock_timestamp() then (
              select pool from workers where name = case when kind = 'COMPLETE' then left(lease_worker, -length('/serve')) else lease_worker end order by last_seen_at desc limit 1
            ) end) as held_by,
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
        (case when claim_expires_at >= clock_timestamp() then (
              select pool from workers where name = claimed_by order by last_seen_at desc limit 1
            ) end) as held_by
      from found_models
    ) as found
    where requested_at is not null
    union all
    select 'DOWNLOAD', '{}', requested_at, is_held, not is_held, held_by, '{}', null, null
    from (
      select requested_at, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held,
        (case when claim_expires_at >= clock_timestamp() then (
              select pool from workers where name = claimed_by order by last_seen_at desc limit 1
            ) end) as held_by
      from model_downloads where finished_at is null
    ) as downloads
  ) as work
  group by kind, needs, left_by);