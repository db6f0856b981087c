/**
 * Everything is killed while everything goes on: workers, the gateway and Postgres by SIGKILL, workers frozen for longer than
 * a lease, and one cut off from Postgres, under eight runs of two projects with keys, their subscribers, streamed answers,
 * mutations, and receivers of webhooks that answer, refuse and hang by turns. What was acknowledged is there, once; every bit
 * is the one that nobody disturbed; and no project sees another's. Real processes, and an embedded Postgres as users have it.
 *
 * Five kills; STEPLOG_KILLS=60 makes sixty, in runs of 500 steps. STEPLOG_SEED gives the order, which the test prints.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { directly } from "../store/fixtures.ts";
import { randomModel } from "../support/models.ts";
import { expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import { type Kill, type RestartablePostgres, killsOf, restartablePostgres, startVictims } from "./kills.ts";
import { testService, until } from "./service.ts";
import { type Result, Tenant, answerTokens } from "./tenant.ts";

const count = Number(process.env["STEPLOG_KILLS"] ?? 5);
const seed = Number(process.env["STEPLOG_SEED"] ?? Math.floor(Math.random() * 1e6));
const runsOfOne = 4;
const steps = count > 10 ? 500 : 150;

test(`${count} kills under runs, answers, mutations and webhooks of two projects`, { timeout: 900_000 }, async () => {
  console.info(`STEPLOG_KILLS=${count} STEPLOG_SEED=${seed}`);
  const postgres = await restartablePostgres();
  const token = "open-sesame";
  const gateway = { STEPLOG_API_TOKEN: token, STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" };
  const service = await testService(postgres.url, gateway);
  const long = { max_position_embeddings: answerTokens + 10, hidden_size: 32, eos_token_id: 63 };
  await cp(await randomModel("F32", long), join(service.folder, "models", "long"), { recursive: true });
  const victims = await startVictims(service, postgres);

  const tenant = (name: string, itsSeed: number) =>
    Tenant.create({ url: victims.url, token, name, seed: itsSeed, steps });
  const tenants = [await tenant("one", 11), await tenant("other", 12)];
  const calm = await Promise.all(
    tenants.map(async (one) => {
      const id = await one.train("calm");
      const [answer] = await Promise.all([one.answer("calm"), one.ended(id)]);
      await expectRebuilt(service, one.client, id, steps);
      return { answer, result: await one.result(id) };
    }),
  );
  expect(calm[0]?.result.log.equals(calm[1]?.result.log ?? Buffer.alloc(0))).toBe(false);

  const over = new AbortController();
  const busy = Promise.all(tenants.map((one) => one.keepBusy(over.signal)));
  busy.catch(() => {});
  const runs = await Promise.all(
    tenants.map((one) => Promise.all(Array.from({ length: runsOfOne }, (_, n) => one.train(`run ${n}`)))),
  );
  // Spread over the work, however fast the machine is, so that each of them meets runs that are not over.
  const followed = () =>
    tenants.flatMap((one) => [...one.following.values()]).reduce((sum, { seen }) => sum + seen.length, 0);
  const first = followed();
  const done: Partial<Record<Kill, number>> = {};
  for (const [index, kill] of killsOf(count, seed).entries()) {
    const share = first + Math.floor((tenants.length * runsOfOne * steps * index) / count);
    await until(`step ${share} of all runs`, 300_000, () => followed() >= share);
    await victims.disturb(kill);
    done[kill] = (done[kill] ?? 0) + 1;
  }
  await victims.restored();
  await Promise.all(tenants.map((one, n) => Promise.all((runs[n] ?? []).map((id) => one.ended(id)))));
  over.abort();
  await busy;

  await deliverAll(postgres);
  for (const [n, one] of tenants.entries()) {
    for (const { seen } of one.following.values()) expectEveryStepOnce(seen, steps);
    for (const id of runs[n] ?? []) expectSame(await one.result(id), calm[n]?.result);
    expect(one.answers).not.toEqual([]);
    for (const answer of one.answers) expect(answer).toBe(calm[n]?.answer);
    await expectAllThere(one);
    await expectDelivered(postgres, one);
  }
  await expectApart(tenants);
  console.info(JSON.stringify({ kills: done, ...summary(tenants) }));
});

function expectSame(result: Result, expected: Result | undefined): void {
  expect(result.digest).toBe(expected?.digest);
  expect(result.log.equals(expected?.log ?? Buffer.alloc(0))).toBe(true);
}

/** What was acknowledged is there; a request that was repeated with its key made one run. */
async function expectAllThere(one: Tenant): Promise<void> {
  const things = await one.things();
  expect(things.datasets).toEqual(expect.arrayContaining(one.datasets));
  expect(things.runs.toSorted()).toEqual([...one.following.keys()].toSorted());
}

/** What is left waits for minutes after two failures. */
async function deliverAll({ url }: RestartablePostgres): Promise<void> {
  await until("all webhooks", 60_000, () =>
    directly(url, async (sql) => {
      // Attempts of gateways that live are left to end.
      await sql`update webhook_deliveries set next_attempt_at = now()
        where status = 'PENDING' and (failures > 0 or next_attempt_at < now() + interval '15 seconds')`;
      return (await sql`select 1 from webhook_deliveries where status <> 'DELIVERED'`).length === 0;
    }),
  );
}

/** Every message of the project came, to its own receiver alone, under one id; each change was told in one message. */
async function expectDelivered({ url }: RestartablePostgres, one: Tenant): Promise<void> {
  const id = atob(one.project).split(":")[1] ?? "";
  const messages = await directly(
    url,
    (sql) => sql`select 'msg_' || id as id, type, payload from webhook_messages where project_id = ${id}`,
  );
  const sent = new Map(messages.map((message) => [String(message["id"]), String(message["payload"])]));
  expect(new Set(one.received.map((message) => message.id))).toEqual(new Set(sent.keys()));
  for (const message of one.received) expect(message.body).toBe(sent.get(message.id));
  const toldOf = (type: string) =>
    [...sent.values()]
      .map((payload) => JSON.parse(payload) as { type: string; data: { id: string } })
      .flatMap((payload) => (payload.type === type ? [payload.data.id] : []))
      .toSorted();
  const { runs, datasets } = await one.things();
  expect(toldOf("fine_tune.succeeded")).toEqual(runs.toSorted());
  expect(toldOf("dataset.created")).toEqual(datasets.toSorted());
}

async function expectApart(tenants: readonly Tenant[]): Promise<void> {
  const things = await Promise.all(tenants.map(async (one) => Object.values(await one.things()).flat()));
  expect(new Set(things.flat()).size).toBe(things.flat().length);
  for (const one of tenants) {
    for (const id of tenants.flatMap((other) => (other === one ? [] : [...other.following.keys()])))
      await expect(one.client.fineTune(id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  }
}

function summary(tenants: readonly Tenant[]) {
  const sum = (of: (one: Tenant) => number) => tenants.reduce((total, one) => total + of(one), 0);
  return {
    steps: tenants.length * runsOfOne * steps,
    mutationsKept: sum(({ datasets, following }) => datasets.length + following.size),
    requestsLost: sum(({ failures }) => failures),
    answers: sum(({ answers }) => answers.length),
    webhooks: sum(({ received }) => new Set(received.map(({ id }) => id)).size),
    deliveriesReceived: sum(({ received }) => received.length),
  };
}
