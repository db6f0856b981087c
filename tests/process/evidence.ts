/**
 * What a service was doing when its test failed, in a folder that stays: what its processes printed, what each was at, and
 * the rows that say who has which job. What fails once in an hour is not repeated in order to be understood.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { directly } from "../store/fixtures.ts";
import type { Running } from "../support/processes.ts";

export interface Evidence {
  /** Of the processes, so that they can be asked what they are at. */
  readonly env: Readonly<Record<string, string>>;
  /** To be called once what is asked has started, so that it is asked before it ends. */
  keepWhenFailed(started: readonly Running[], databaseUrl: string): void;
}

export async function evidence(): Promise<Evidence> {
  const folder = await mkdtemp(join(tmpdir(), "steplog-evidence-"));
  const options = `--report-on-signal --report-signal=SIGUSR2 --report-exclude-network --report-directory=${folder}`;
  return {
    env: { NODE_OPTIONS: options, STEPLOG_LOG_LEVEL: "info" },
    keepWhenFailed(started, databaseUrl) {
      onTestFinished(async ({ task }) => {
        if (task.result?.state !== "fail") return rm(folder, { recursive: true });
        await keep(folder, started, databaseUrl);
        console.info(`What the processes were doing: ${folder}`);
      });
    },
  };
}

const reportMs = 3_000;

async function keep(folder: string, started: readonly Running[], databaseUrl: string): Promise<void> {
  const alive = ({ child }: Running) => child.exitCode === null && child.signalCode === null;
  for (const { child } of started.filter(alive)) child.kill("SIGUSR2");
  for (const [index, one] of started.entries()) {
    const { child, output } = one;
    const ending = alive(one) ? "alive" : String(child.exitCode ?? child.signalCode);
    const about = `${child.spawnargs.slice(2).join("-")}-${child.pid}-${ending}`.replaceAll("/", "_");
    await writeFile(join(folder, `${String(index).padStart(3, "0")}-${about}.log`), output());
  }
  const rows = await rowsOf(databaseUrl).catch((error: unknown) => String(error));
  await writeFile(join(folder, "rows.json"), JSON.stringify(rows, null, 1));
  await delay(reportMs);
}

async function rowsOf(url: string): Promise<unknown> {
  return directly(url, async (sql) => ({
    now: await sql`select clock_timestamp()`,
    jobs: await sql`select * from jobs order by id`,
    workers: await sql`select * from workers`,
    runs: await sql`select id, status, project_id from fine_tunes`,
    webhooks: await sql`select status, count(*) from webhook_deliveries group by 1`,
    sessions: await sql`
      select pid, application_name, state, wait_event_type, wait_event, now() - state_change as since, now() - xact_start as open,
        left(query, 300) as query
      from pg_stat_activity where datname is not null`,
    locks: await sql`select pid, relation::regclass::text, locktype, mode, granted from pg_locks where not granted`,
  }));
}
