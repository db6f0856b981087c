/** Exports and erasures that are killed in the middle, by real processes: asking again finishes them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { runSteplog, startSteplog } from "../support/processes.ts";
import { scratch } from "../support/models.ts";
import { firstTry } from "../support/first-try.ts";
import { testStore } from "../support/postgres.ts";
import { directly } from "../store/fixtures.ts";
import { twoProjects, word } from "../store/project-fixture.ts";
import { until } from "./service.ts";

test("a killed export leaves no export, and a killed erasure goes on", { ...firstTry, timeout: 240_000 }, async () => {
  const fixture = await testStore();
  const projects = await twoProjects(fixture);
  const env = { DATABASE_URL: fixture.url, STEPLOG_STORAGE: fixture.storageDir, STEPLOG_DATA: await scratch() };
  const folder = await scratch();

  for (const to of [join(folder, "all.tar"), join(folder, "all")]) {
    const args = ["projects", "export", projects.name, "--to", to, "--json"];
    // It waits for a table near the end.
    await directly(fixture.url, (sql) =>
      sql.begin(async (tx) => {
        await tx`lock table webhook_messages in access exclusive mode`;
        const killed = startSteplog(args, env);
        await until("a part of the export", 60_000, () => existsSync(`${to}.partial`));
        await delay(200);
        expect(await killed.kill("SIGKILL")).toBe("SIGKILL");
      }),
    );
    expect(existsSync(to)).toBe(false);
    const { code, stdout } = await runSteplog(args, env);
    expect({ code, report: JSON.parse(stdout) as object }).toMatchObject({ code: 0, report: { logs: 2, path: to } });
    expect(existsSync(`${to}.partial`)).toBe(false);
    expect((await runSteplog(args, env)).code).toBe(3);
  }

  const erase = ["projects", "erase", projects.name, "--confirm", projects.name, "--json"];
  await directly(fixture.url, (sql) =>
    sql.begin(async (tx) => {
      await tx`select from datasets where id = ${projects.datasets[1]?.id ?? ""} for update`;
      const killed = startSteplog(erase, env);
      await until("the runs are gone", 60_000, async () => {
        const [left] = await directly(
          fixture.url,
          (other) => other`select from fine_tunes where id = ${projects.run.id}`,
        );
        return left === undefined;
      });
      expect(await killed.kill("SIGKILL")).toBe("SIGKILL");
    }),
  );
  expect(await fixture.store.projects.get(projects.id)).not.toBeNull();
  const { code, stdout } = await runSteplog(erase, env);
  expect({ code, erased: JSON.parse(stdout) as object }).toMatchObject({ code: 0, erased: { filesWaiting: 0 } });
  expect(await fixture.store.projects.get(projects.id)).toBeNull();
  const left = await directly(
    fixture.url,
    (
      sql,
    ) => sql`select table_name as name from information_schema.tables t where table_schema = 'public' and table_type = 'BASE TABLE'
      and table_name <> 'audit_entries' and (query_to_xml(format('select 1 from %I t where to_jsonb(t)::text like %L limit 1',
        table_name, ${`%${word}%`}::text), false, true, ''))::text like '%row%'`,
  );
  expect(left).toEqual([]);
  expect((await runSteplog(erase, env)).code).toBe(3);
  await fixture.drop();
});
