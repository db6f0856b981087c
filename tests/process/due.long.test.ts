/** kill -9 of a gateway while it ends what is due: each object is whole or gone, and another gateway ends the rest. */
import { expect, test } from "vitest";
import { openStore } from "../../store/store.ts";
import { append, chainAfter, directly, newTraining, sha256 } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { testService, until } from "./service.ts";

const runs = 200;

test("kill -9 of a gateway in mid-sweep leaves nothing half done", { ...firstTry, timeout: 120_000 }, async () => {
  const service = await testService();
  const databaseUrl = service.env["DATABASE_URL"] ?? "";
  const store = await openStore({ databaseUrl, storageDir: `${service.folder}/storage` });
  await store.migrate();
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const place = { entries: 2, step: 2, chain: chainAfter(2), weightsDigest: sha256("w") };
  await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  await store.close();
  await copies(databaseUrl, run.id);

  const first = await service.startServer();
  const left = () => directly(databaseUrl, (sql) => sql`select id from fine_tunes where expires_at is not null`);
  await until("the first deletions", 30_000, async () => (await left()).length < runs - 5);
  await first.running.kill("SIGKILL");
  const there = (await left()).length;
  expect(there).toBeGreaterThan(0);
  expect(await unlike(databaseUrl)).toEqual([]);

  // Instead of waiting for a minute.
  await directly(databaseUrl, (sql) => sql`update chores set begun_at = now() - interval '1 hour'`);
  const second = await service.startServer();
  await until("the end", 60_000, async () => (await left()).length === 0);
  const [counts] = await directly(
    databaseUrl,
    (sql) => sql`
      select (select count(*)::int from fine_tunes) as runs, (select count(*)::int from checkpoints) as checkpoints,
        (select count(*)::int from log_segments) as logs, (select count(*)::int from datasets) as datasets`,
  );
  expect(counts).toEqual({ runs: 1, checkpoints: 1, logs: 1, datasets: 1 });
  await second.running.kill("SIGTERM");
});

/** Many runs as one is, with all that is theirs, that are due. */
function copies(databaseUrl: string, id: string) {
  return directly(databaseUrl, (sql) =>
    sql.begin(async (tx) => {
      await tx`
        insert into fine_tunes select (jsonb_populate_record(one, jsonb_build_object('id', gen_random_uuid(), 'expires_at', now()))).*
        from fine_tunes as one, generate_series(1, ${runs}) where one.id = ${id}`;
      await tx`
        insert into checkpoints
        select (jsonb_populate_record(one, jsonb_build_object('id', gen_random_uuid(), 'fine_tune_id', run.id))).*
        from checkpoints as one, fine_tunes as run where run.id <> ${id}`;
      for (const table of ["log_segments", "step_metrics", "events"])
        await tx`
          insert into ${tx(table)}
          select (jsonb_populate_record(one, jsonb_build_object('fine_tune_id', run.id))).*
          from ${tx(table)} as one, fine_tunes as run where run.id <> ${id} and one.fine_tune_id = ${id}`;
    }),
  );
}

/** Runs that lack something that all have. */
function unlike(databaseUrl: string) {
  return directly(
    databaseUrl,
    (sql) => sql`
      select id from fine_tunes as run where
        (select count(*) from checkpoints where fine_tune_id = run.id) <> 1
        or (select count(*) from log_segments where fine_tune_id = run.id) <> 1
        or (select count(*) from step_metrics where fine_tune_id = run.id) <> 2
        or not exists (select 1 from events where fine_tune_id = run.id)`,
  );
}
