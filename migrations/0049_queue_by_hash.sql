ALTER TABLE "jobs" ADD COLUMN "needs_hash" uuid GENERATED ALWAYS AS (md5(needs::text)::uuid) STORED NOT NULL;--> statement-breakpoint
-- Replaced and not dropped: whoever was granted to read it (an autoscaler) may still.
CREATE OR REPLACE VIEW "public"."queue_depth" AS (
  with pools as (
    select * from worker_pools where seen_at > clock_timestamp() - interval '30 minutes'
  ), counted as materialized (
    select kind, needs_hash, project_id, coalesce(lease_expires_at >= clock_timestamp(), false) as is_held,
      coalesce(not_before <= clock_timestamp(), true) as is_due, count(*) as jobs, min(created_at) as oldest, min(id) as one
    from jobs group by kind, needs_hash, project_id, is_held, is_due
  ), sorts as materialized (
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
    from jobs where id in (select min(one) from counted group by kind, needs_hash) and not needs ? 'workers'
  ), limited as materialized (
    select project_id, held, least(own, room_of_all) as room, room_of_all
    from (
      select project_id, held, (quotas ->> 'concurrentRuns')::float8 - held as own,
        (select most from service_limits where name = 'concurrentRuns') - sum(held) over () as room_of_all
      from (
        select project_id, coalesce(sum(jobs) filter (where is_held), 0)::float8 as held
        from counted join sorts using (kind, needs_hash) where kind = 'FINE_TUNE' group by project_id
      ) as runs join projects on projects.id = project_id
    ) as rooms where own is not null or room_of_all is not null
  ), next as (
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
          where project_id = limited.project_id and case when kind = 'FINE_TUNE' and not coalesce(lease_expires_at >= clock_timestamp(), false)
            and coalesce(not_before <= clock_timestamp(), true) and needs_hash = any(hashes) then true else false end
          order by priority desc, id limit floor(least(greatest(room, 0), 1e9))::bigint
        ) as first
      ) as jobs where place <= room
    ) as runs where coalesce(turn <= room_of_all, true) group by needs_hash
  ), last_seen as materialized (
    select distinct on (name) name, pool from workers order by name, last_seen_at desc
  ), holders as (
    select kind, needs_hash, pool
    from jobs join last_seen on name = case when kind = 'COMPLETE' then left(lease_worker, -length('/serve')) else lease_worker end
    where lease_worker is not null and coalesce(lease_expires_at >= clock_timestamp(), false) and pool is not null
  ), states as (
    select kind, needs_hash, sum(jobs) filter (where is_free) as free, sum(jobs) filter (where is_held) as held,
      sum(jobs) filter (where not is_free and not is_held) as waiting, min(oldest) filter (where not is_held) as oldest
    from (
      select *, is_due and not is_held and (kind <> 'FINE_TUNE' or project_id not in (select project_id from limited)) as is_free
      from counted
    ) as counted group by kind, needs_hash
    union all
    select 'FINE_TUNE', needs_hash, jobs, 0, -jobs, null from next
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
    union all
    select 'REGISTER', '{}', '{}', (not is_held)::int, is_held::int, 0, case when not is_held then requested_at end, pool
    from (select requested_at, claimed_by, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held from found_models where requested_at is not null) as requests
    left join last_seen on is_held and name = claimed_by
    union all
    select 'DOWNLOAD', '{}', '{}', (not is_held)::int, is_held::int, 0, case when not is_held then requested_at end, pool
    from (select requested_at, claimed_by, coalesce(claim_expires_at >= clock_timestamp(), false) as is_held from model_downloads where finished_at is null) as requests
    left join last_seen on is_held and name = claimed_by
  ) as work
  group by kind, needs, left_by);