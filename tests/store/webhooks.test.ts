/** The outbox: each delivery is one gateway's at a time, and none is lost with it. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, sha256 } from "./fixtures.ts";

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

test("messages are deleted after 30 days, with their log", async () => {
  const { id } = await store.webhooks.create(endpoint);
  await change("old");
  await directly(fixture.url, (sql) => sql`update webhook_messages set created_at = now() - interval '31 days'`);
  await change("new");
  await store.outbox.sweep();
  const left = await store.webhooks.deliveries(id, { limit: 9 });
  expect(left.map(({ payload }) => payload)).toEqual([expect.stringContaining("new")]);
});
