/** The outbox: each delivery is one gateway's at a time, and none is lost with it. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { globalIdOf, webhookEvents } from "../../schema/webhooks.ts";
import { append, chainAfter, directly, newTraining, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
beforeEach(() => directly(fixture.url, (sql) => sql`truncate webhook_endpoints, webhook_messages cascade`));
afterAll(() => fixture.drop());

const endpoint = { url: "https://example.com/", description: "", events: [] };
const success = { result: "DELIVERED", seconds: 0.1, responseCode: 204, error: null } as const;

const change = (name = "rows") => store.datasets.create({ name, sha256: sha256("rows"), bytes: 4, rows: 1 });

/** Lets what is due or claimed be due now. */
const due = () => directly(fixture.url, (sql) => sql`update webhook_deliveries set next_attempt_at = now()`);

/** One go of another process, once they are due. */
async function chores(): Promise<void> {
  await directly(fixture.url, (sql) => sql`delete from chores`);
  (await fixture.another()).doChores();
}

test("several gateways claim each delivery once", async () => {
  await store.webhooks.create(endpoint);
  for (let k = 0; k < 10; k++) await change();
  const stores = [store, await fixture.another(), await fixture.another()];
  const claims = await Promise.all(Array.from({ length: 15 }, (_, k) => (stores[k % 3] ?? store).outbox.claim([])));
  const claimed = claims.flatMap((one) => (one ? [one.id] : []));
  const rest = [];
  for (let one = await store.outbox.claim([]); one; one = await store.outbox.claim([])) rest.push(one.id);
  expect(new Set([...claimed, ...rest]).size).toBe(10);
  expect(claimed.length + rest.length).toBe(10);
});

test("what a gateway held when it died is claimed again with the same message, and its late word changes only its own line", async () => {
  const { id } = await store.webhooks.create(endpoint);
  await change();
  const first = await store.outbox.claim([]);
  if (!first) throw new Error("there is a delivery");
  expect(await store.outbox.claim([])).toBeNull();
  await due();
  const second = await store.outbox.claim([]);
  expect(second).toMatchObject({ id: first.id, messageId: first.messageId, payload: first.payload, number: 2 });
  expect(await store.webhooks.attempts(first.id)).toMatchObject([{ seconds: null }, { seconds: null }]);
  await store.outbox.finish(first, { ...success, result: "FAILED", responseCode: 500, error: "late" });
  const [waits] = await store.webhooks.deliveries(id, { limit: 9 });
  expect(waits).toMatchObject({ status: "PENDING", failures: 0 });
  await store.outbox.finish({ ...first, ...second }, success);
  expect(await store.webhooks.deliveries(id, { limit: 9, status: "DELIVERED" })).toHaveLength(1);
  expect(await store.webhooks.attempts(first.id)).toMatchObject([
    { error: "late" },
    { error: null, responseCode: 204 },
  ]);
  await due();
  expect(await store.outbox.claim([])).toBeNull();
});

test("an attempt that its gateway broke off is due at once, and says nothing of the endpoint", async () => {
  const { id } = await store.webhooks.create(endpoint);
  await change();
  const first = await store.outbox.claim([]);
  if (!first) throw new Error("there is a delivery");
  await store.outbox.finish(first, { result: "BROKEN_OFF", seconds: 1, responseCode: null, error: "stopped" });
  expect(await store.outbox.claim([])).toMatchObject({ id: first.id, number: 2 });
  expect(await store.webhooks.byIds([id])).toMatchObject([{ failingSince: null }]);
});

test("a busy endpoint leaves its turn to others, and a disabled one keeps what waits", async () => {
  const one = await store.webhooks.create(endpoint);
  const other = await store.webhooks.create(endpoint);
  await change();
  expect(await store.outbox.claim([one.id])).toMatchObject({ endpointId: other.id });
  expect(await store.outbox.claim([one.id])).toBeNull();
  await store.webhooks.update(one.id, { enabled: false });
  expect(await store.outbox.claim([])).toBeNull();
  await change();
  await store.webhooks.update(one.id, { enabled: true });
  expect(await store.webhooks.deliveries(one.id, { limit: 9 })).toHaveLength(1);
  expect(await store.outbox.claim([])).not.toBeNull();
});

test("an endpoint that is deleted at the moment of a change does not stop the change", async () => {
  const { id } = await store.webhooks.create(endpoint);
  const removed = directly(fixture.url, (sql) =>
    sql.begin(async (tx) => {
      await tx`delete from webhook_endpoints where id = ${id}`;
      const changed = change("during");
      await tx`select pg_sleep(0.3)`;
      return { changed };
    }),
  );
  expect(await (await removed).changed).toMatchObject({ name: "during" });
});

test("deletions, and changes of labels and aliases, are told once each, and what changes nothing is not", async () => {
  const { run, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const place = { entries: 2, step: 2, chain: chainAfter(2), weightsDigest: "ab".repeat(32) };
  const checkpoint = await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  const target = { baseModelId: run.baseModelId, checkpointId: checkpoint.id };
  await store.checkpoints.requestWeights(checkpoint.id);
  const { evaluation } = await store.evaluations.create({
    ...target,
    idempotencyKey: null,
    datasetId: run.datasetId,
    labelWords: [],
    calibrationPrompt: null,
    settings: { precision: "FLOAT32" } as never,
  });
  const { id } = await store.webhooks.create(endpoint);
  for (const again of [true, false]) {
    await store.checkpoints.deleteWeights(checkpoint.id);
    expect(await store.evaluations.delete(evaluation.id)).toBe(again);
    await store.aliases.set("best", again ? target : { ...target, checkpointId: null });
    expect(await store.aliases.remove("best")).toBe(true);
    await store.fineTunes.label(run.id, again ? { tags: ["kept"] } : {});
  }
  for (const isThere of [true, false]) {
    expect(await store.checkpoints.delete(checkpoint.id)).toBe(isThere);
    expect(await store.datasets.delete(run.datasetId)).toBe(isThere);
    expect(await store.fineTunes.delete(run.id, { cancel: false })).toBe(isThere);
  }
  const told = (await store.webhooks.deliveries(id, { limit: 99 })).toReversed();
  const data = (type: string) =>
    (JSON.parse(told.find((one) => one.type === type)?.payload ?? "{}") as { data?: object }).data;
  expect(told.map(({ type }) => type)).toEqual([
    "checkpoint.weights_deleted",
    "evaluation.deleted",
    "alias.set",
    "alias.removed",
    "fine_tune.updated",
    "alias.set",
    "alias.removed",
    "checkpoint.deleted",
    "dataset.deleted",
    "fine_tune.deleted",
  ]);
  expect(told.every(({ type }) => webhookEvents.includes(type))).toBe(true);
  expect(data("fine_tune.deleted")).toMatchObject({ id: globalIdOf("FineTune", run.id), status: "SUCCEEDED" });
  expect(data("fine_tune.updated")).toMatchObject({ tags: ["kept"], archivedAt: null });
  expect(data("checkpoint.deleted")).toMatchObject({ id: globalIdOf("Checkpoint", checkpoint.id), step: 2 });
  expect(data("alias.removed")).toMatchObject({
    id: "best",
    checkpoint: { id: globalIdOf("Checkpoint", checkpoint.id) },
  });
});

test("messages are deleted after 30 days, with their log", async () => {
  const { id } = await store.webhooks.create(endpoint);
  await change("old");
  await directly(fixture.url, (sql) => sql`update webhook_messages set created_at = now() - interval '31 days'`);
  await change("new");
  await chores();
  const left = async () => (await store.webhooks.deliveries(id, { limit: 9 })).map(({ payload }) => payload);
  await expect.poll(left).toEqual([expect.stringContaining("new")]);
});

test("however many are past their time, all are deleted at once", async () => {
  await store.webhooks.create(endpoint);
  await change("one of many");
  await directly(fixture.url, async (sql) => {
    await sql`insert into webhook_messages (id, project_id, type, payload)
      select gen_random_uuid(), project_id, type, payload from webhook_messages, generate_series(2, 2500)`;
    await sql`update webhook_messages set created_at = now() - interval '31 days'`;
    expect(await sql`select count(*)::int from webhook_messages`).toEqual([{ count: 2_500 }]);
  });
  await change("new");
  await chores();
  const left = () =>
    directly(fixture.url, (sql) => sql`select payload from webhook_messages`.then((rows) => [...rows]));
  await expect.poll(left, { timeout: 10_000 }).toEqual([{ payload: expect.stringContaining("new") as string }]);
});
