/**
 * When everything happened: the rows of the story get fixed distances from now, and the browser of the pictures takes now for
 * one fixed moment. So no picture changes because it was taken on another day.
 */
import type { Page } from "playwright-core";
import postgres from "postgres";
import type { TestServer } from "../../server/harness.ts";

const shownNow = "2026-03-12T10:24:00Z";

/** Minutes ago that a run was created, began, and ended; by name. */
const runTimes: Readonly<Record<string, readonly [number, number | null, number | null]>> = {
  "reviews, LoRA 8": [204, 203, 186],
  "reviews, LoRA 8, lower rate": [202, 185, 168],
  "reviews, rate too high": [60, 56, 52],
  "reviews, rate rather high": [52, 51, 42],
  "first try": [59, null, 58],
  "tickets, LoRA 16": [30, 29, null],
  "tickets, LoRA 8": [12, 8, null],
  "tickets, all weights": [10, null, null],
  "tickets, larger model": [5, null, null],
};

/** @returns the moment from which the distances count, for `freezeTime` */
export async function setTimes({ databaseUrl }: TestServer): Promise<Date> {
  const now = new Date();
  const ago = (minutes: number | null) =>
    minutes === null ? null : new Date(now.getTime() - minutes * 60_000).toISOString();
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const runs = await sql<{ id: string; name: string; swept: boolean }[]>`
    select id, name, sweep_id is not null as swept from fine_tunes order by name`;
  for (const { id, name, swept } of runs) {
    const [created, started, finished] = swept ? [160, 150, 133] : (runTimes[name] ?? [0, null, null]);
    const begun = ago(started ?? created);
    await sql`update fine_tunes set created_at = ${ago(created)}, started_at = ${ago(started)}, finished_at = ${ago(finished)}
      where id = ${id}`;
    await sql`update step_metrics set at = ${begun}::timestamptz + step * interval '1 second' where fine_tune_id = ${id}`;
    await sql`update evaluations set at = ${begun}::timestamptz + step * interval '1 second' where fine_tune_id = ${id}`;
    await sql`update checkpoints set created_at = ${begun}::timestamptz + step * interval '1 second' where fine_tune_id = ${id}`;
    await sql`update events set at = case type when 'CREATED' then ${ago(created)}::timestamptz
      else ${begun}::timestamptz + sequence * interval '1 minute' end where fine_tune_id = ${id}`;
  }
  await sql`update sweeps set created_at = ${ago(160)}`;
  await sql`update datasets set created_at = ${ago(240)}::timestamptz + interval '1 minute' * char_length(name)`;
  await sql`update base_models set created_at = ${ago(20_160)}`;
  await sql`update aliases set created_at = ${ago(180)}, updated_at = ${ago(180)}`;
  await sql`update alias_moves set at = ${ago(180)}`;
  await sql`update workers set started_at = ${ago(3_000)}`;
  await sql`update projects set created_at = ${ago(30_000)}`;
  await sql`update api_keys set created_at = ${ago(25_000)}::timestamptz + interval '1 hour' * char_length(name),
    start = 'steplog_' || left(md5(name), 6), last_used_at = case when name like 'n%' then ${ago(14)}::timestamptz end`;
  await sql`alter table audit_entries disable trigger user`;
  await sql`with numbered as (select id, row_number() over (order by at, id) as place from audit_entries)
    update audit_entries set at = ${ago(300)}::timestamptz + place * interval '7 minutes', request_id = null
    from numbered where numbered.id = audit_entries.id`;
  await sql`alter table audit_entries enable trigger user`;
  await sql.end();
  return now;
}

/** Whatever the service says to have happened at `now` is shown as at the fixed moment, and the page takes that for the present. */
export async function freezeTime(page: Page, now: Date): Promise<void> {
  await page.addInitScript(
    ({ shown, lead }) => {
      const { parse } = Date;
      const moved = (text: string) => {
        const at = parse(text) - (/T.*Z$/u.test(text) ? lead : 0);
        // What happened while pictures were taken is now, too.
        return at > shown && at < shown + 15 * 60_000 ? shown : at;
      };
      const frozen = (...given: readonly unknown[]) => {
        if (given.length === 0) return [shown];
        return given.length === 1 && typeof given[0] === "string" ? [moved(given[0])] : given;
      };
      globalThis.Date = new Proxy(Date, {
        construct: (target, given: readonly unknown[]) => Reflect.construct(target, frozen(...given)) as Date,
      });
      Object.assign(Date, { now: () => shown, parse: moved });
    },
    { shown: Date.parse(shownNow), lead: now.getTime() - Date.parse(shownNow) },
  );
}
