CREATE TABLE "service_limits" (
	"name" text PRIMARY KEY NOT NULL,
	"most" double precision
);
--> statement-breakpoint
-- Replaced and not dropped: whoever was granted to read it (an autoscaler) may still.
CREATE OR REPLACE VIEW "public"."queue_depth" AS (
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
  group by kind, needs);