/**
 * Two projects share one worker: their runs give way to each other, and each has, byte for byte, the log of a run that had the
 * worker alone. Killed while it writes the weights of a run that gives way, the worker leaves nothing that counts. Real processes.
 */
import { mkdirSync, watch } from "node:fs";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { directly } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import { randomModel } from "../support/models.ts";
import { type TestService, createRun, modelsOf, testService, until } from "./service.ts";

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

test(
  "two projects, one worker: the logs are those of runs that had it alone",
  { ...firstTry, timeout: 240_000 },
  async () => {
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
  },
);

/** A copy that takes a moment to write. */
const largeConfig = { vocab_size: 1_000_000 };
/** More than a slice of time has. */
const largeSteps = 100;

test(
  "kill -9 while the copy is written: the run goes on from its log, and nothing is left",
  { ...firstTry, timeout: 240_000 },
  async () => {
    const service = await withProject();
    await cp(await randomModel("F32", largeConfig), join(service.folder, "models", "large"), { recursive: true });
    const { client } = await service.startServer();
    const fast = { ...slice, STEPLOG_SERVE: "training", STEPLOG_DEVICE: "native" };
    const kept = join(service.folder, "cache", "kept");
    mkdirSync(kept, { recursive: true });
    const first = await service.startWorker(fast);
    await until("the base", slackMs, async () => (await modelsOf(client)).includes("large"));

    const partial = new Promise<string>((resolve) => {
      const watching = watch(kept, (_event, name) => {
        if (name === null || !name.includes(".partial-")) return;
        watching.close();
        first.child.kill("SIGKILL");
        resolve(name);
      });
    });
    // Both wait before the worker can take one, so the first gives way at the end of its slice.
    first.child.kill("SIGSTOP");
    const large = { baseModel: "large", batchSize: 1 };
    const mine = await createRun(service, client, largeSteps, large);
    const other = await createRun(service, client, largeSteps, large);
    await giveToOther(service, other);
    first.child.kill("SIGCONT");
    const name = await partial;
    await first.ended;
    expect(await readdir(kept)).toEqual([name]);
    expect((await statusOf(service, mine)).status).toBe("RUNNING");

    await service.startWorker({ ...fast, STEPLOG_TIME_SLICE: "3600" });
    await Promise.all([ended(service, mine), ended(service, other)]);
    const resumed = await messagesOf(service, mine, "RESUMED");
    expect(resumed.filter((message) => message.startsWith("Replayed"))).toHaveLength(1);
    const alone = await createRun(service, client, largeSteps, large);
    await ended(service, alone);
    const expected = await logOf(service, alone);
    expect(await logOf(service, mine)).toEqual(expected);
    expect(await logOf(service, other)).toEqual(expected);
    await until("the partial copy to go", slackMs, async () => (await readdir(kept)).length === 0);
  },
);
