/**
 * Two projects share one worker: their runs give way to each other, and each has, byte for byte, the log of a run that had the
 * worker alone. Real processes.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { directly } from "../store/fixtures.ts";
import { type TestService, createRun, testService, until } from "./service.ts";

const project = "11111111-1111-4111-8111-111111111111";
const slice = { STEPLOG_TIME_SLICE: "1" };
const slackMs = 90_000;

async function withProject(): Promise<TestService> {
  const service = await testService();
  await service.startServer().then(({ running }) => running.kill("SIGTERM"));
  await sqlOf(service, (sql) => sql`insert into projects (id, name) values (${project}, 'other')`);
  return service;
}

function sqlOf<Result>({ env }: TestService, work: Parameters<typeof directly<Result>>[1]): Promise<Result> {
  return directly(env["DATABASE_URL"] ?? "", work);
}

/** As the tables have it. */
const uuidOf = (id: string) => Buffer.from(id, "base64").toString().replace("FineTune:", "");

/** The run belongs to the other project, as if that had created it. */
async function giveToOther(service: TestService, id: string): Promise<void> {
  await sqlOf(service, (sql) => sql`update fine_tunes set project_id = ${project} where id = ${uuidOf(id)}`);
  await sqlOf(service, (sql) => sql`update jobs set project_id = ${project} where subject = ${uuidOf(id)}`);
}

/** A client of one project does not see the other's, so this asks the tables. */
async function statusOf(service: TestService, id: string): Promise<{ status: string; steps: number }> {
  const [run] = await sqlOf(
    service,
    (sql) =>
      sql<
        { status: string; steps: number }[]
      >`select status, steps_done as steps from fine_tunes where id = ${uuidOf(id)}`,
  );
  return run ?? { status: "NONE", steps: 0 };
}

const ended = (service: TestService, id: string) =>
  until("the end", slackMs, async () => (await statusOf(service, id)).status === "SUCCEEDED");

async function logOf(service: TestService, run: string) {
  const id = uuidOf(run);
  return sqlOf(service, async (sql) => {
    const [row] =
      await sql`select entries, encode(chain, 'hex') as chain, encode(log_header, 'hex') as header from fine_tunes where id = ${id}`;
    const segments = await sql`select first_entry, encode(scalars, 'hex') as scalars, encode(decays, 'hex') as decays
      from log_segments where fine_tune_id = ${id} order by 1`;
    const [last] =
      await sql`select entries, weights_digest from checkpoints where fine_tune_id = ${id} order by entries desc`;
    return { row, segments, last };
  });
}

async function messagesOf(service: TestService, id: string, type: string): Promise<string[]> {
  const rows = await sqlOf(
    service,
    (sql) =>
      sql<
        { message: string }[]
      >`select message from events where fine_tune_id = ${uuidOf(id)} and type = ${type} order by sequence`,
  );
  return rows.map(({ message }) => message);
}

const steps = 700;

test("two projects, one worker: the logs are those of runs that had it alone", { timeout: 240_000 }, async () => {
  const service = await withProject();
  const { client } = await service.startServer();
  const worker = await service.startWorker({ ...slice, STEPLOG_SERVE: "training" });
  const alone = await createRun(service, client, steps);
  await ended(service, alone);
  expect(await readdir(join(service.folder, "cache", "kept")).catch(() => [])).toEqual([]);

  const mine = await createRun(service, client, steps);
  const other = await createRun(service, client, steps);
  await giveToOther(service, other);
  await Promise.all([ended(service, mine), ended(service, other)]);
  const gaveWay = await Promise.all([mine, other].map((id) => messagesOf(service, id, "GAVE_WAY")));
  expect(gaveWay.flat().length).toBeGreaterThan(0);
  const resumed = (await Promise.all([mine, other].map((id) => messagesOf(service, id, "RESUMED")))).flat();
  expect(resumed.filter((message) => message.startsWith("Read the weights")).length).toBeGreaterThan(0);
  expect(resumed.filter((message) => message.startsWith("Replayed"))).toEqual([]);
  const expected = await logOf(service, alone);
  expect(await logOf(service, mine)).toEqual(expected);
  expect(await logOf(service, other)).toEqual(expected);
  expect(await readdir(join(service.folder, "cache", "kept"))).toEqual([]);
  await worker.kill("SIGTERM");
});
