/** Entries of the audit log are written with the change, only added, and end when they are past their time. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditAction } from "../../schema/audit.ts";
import { operator } from "../../schema/projects.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, newInput, sha256 } from "./fixtures.ts";
import { newCompletion } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());

const list = (action?: AuditAction) => store.of(operator).audit.list({ limit: 100, action });

const dataset = (name: string) => store.datasets.create({ name, sha256: sha256(name), bytes: 4, rows: 1 });

test("entries cannot be changed or deleted", async () => {
  const { id } = await dataset("one");
  await store.datasets.delete(id);
  const [before] = await list("dataset.deleted");
  expect(before).toMatchObject({ actorKind: "SERVICE", objectId: id, objectName: "one" });
  const refused = (work: Parameters<typeof directly>[1]) =>
    expect(directly(fixture.url, work)).rejects.toThrow("only added");
  await refused((sql) => sql`update audit_entries set action = 'nothing'`);
  await refused((sql) => sql`delete from audit_entries`);
  await refused((sql) => sql`truncate audit_entries`);
  expect(await list("dataset.deleted")).toEqual([before]);
});

test("a change that is rolled back leaves no entry", async () => {
  const { id } = await dataset("kept");
  const input = await newInput(store);
  await store.fineTunes.create({ ...input, datasetId: id });
  await expect(store.datasets.delete(id)).rejects.toMatchObject({ code: "CONFLICT" });
  await directly(fixture.url, (sql) =>
    sql.unsafe(`create function refuses() returns trigger language plpgsql as $$ begin raise exception 'no entry'; end $$;
      create trigger refuses before insert on audit_entries for each row execute function refuses()`),
  );
  const other = await dataset("stays too");
  await expect(store.datasets.delete(other.id)).rejects.toThrow("audit_entries");
  await directly(fixture.url, (sql) => sql`drop trigger refuses on audit_entries`);
  expect(await store.datasets.get(other.id)).toMatchObject({ name: "stays too" });
  expect((await list("dataset.deleted")).map(({ objectName }) => objectName)).toEqual(["one"]);
});

test("calls at once are each their own actor's, whatever they wait for", async () => {
  const viewer = (name: string) => ({ ...operator, key: { id: crypto.randomUUID(), name } });
  const names = Array.from({ length: 20 }, (_, k) => `key ${k}`);
  const made = await Promise.all(names.map((name) => dataset(`of ${name}`)));
  await Promise.all(
    names.map((name, k) => store.of(viewer(name), { requestId: `r ${k}` }).datasets.delete(made[k]?.id ?? "")),
  );
  const entries = (await list("dataset.deleted")).filter(({ actorKind }) => actorKind === "KEY");
  expect(entries).toHaveLength(20);
  for (const { actorName, objectName, requestId } of entries) {
    expect(objectName).toBe(`of ${actorName}`);
    expect(requestId).toBe(`r ${actorName?.split(" ")[1]}`);
  }
});

test("a command line is named, also for what it does beside a viewer's store", async () => {
  const size = { parameters: 4, bytes: 16, contextLength: 32 };
  await store.baseModels.register({ name: "gone", hash: sha256("gone"), family: "opt", dtype: "F32", ...size });
  await store.by("ann@host").baseModels.unregister("gone");
  expect(await list("model.deleted")).toMatchObject([
    { actorKind: "COMMAND", actorName: "ann@host", objectName: "gone" },
  ]);
});

test("what is past its time ends by the service, with an entry that counts it", async () => {
  for (let k = 0; k < 3; k++) await newCompletion(store);
  await directly(fixture.url, (sql) => sql`update completions set expires_at = now() - interval '1 second'`);
  await report();
  expect(await list("completions.expired")).toMatchObject([{ actorKind: "SERVICE", details: { count: 3 } }]);
  await store.completions.discard((await newCompletion(store)).id);
  expect(await list("completion.deleted")).toEqual([]);
});

test("entries end after the days of the setting, and by no less", async () => {
  const keeping = await fixture.another({ auditDays: 30 });
  await directly(fixture.url, async (sql) => {
    await sql`alter table audit_entries disable trigger user`;
    await sql`update audit_entries set at = now() - interval '31 days' where object_name = 'one'`;
    await sql`alter table audit_entries enable trigger user`;
  });
  const before = await list();
  await report();
  expect(await list()).toEqual(before);
  await report(keeping);
  await expect.poll(() => list("audit.expired")).toHaveLength(1);
  const after = await list();
  expect(after[0]).toMatchObject({ action: "audit.expired", actorKind: "SERVICE", details: { count: 1, days: 30 } });
  expect(after.slice(1)).toEqual(before.filter(({ objectName }) => objectName !== "one"));
});

test("however many are past their time, all end at once", async () => {
  await directly(fixture.url, async (sql) => {
    await sql`insert into audit_entries (at, project_id, action, actor_kind, object_type, object_name)
      select now() - interval '31 days', project_id, action, actor_kind, object_type, 'old'
      from (select * from audit_entries limit 1) e, generate_series(1, 12000)`;
    await sql`delete from chores`;
  });
  const left = () =>
    directly(
      fixture.url,
      async (sql) => [...(await sql`select 1 from audit_entries where object_name = 'old'`)].length,
    );
  expect(await left()).toBe(12_000);
  await report(await fixture.another({ auditDays: 30 }));
  await expect.poll(left, { timeout: 10_000 }).toBe(0);
});

function report(by = store): Promise<void> {
  return by.workers.report({
    id: crypto.randomUUID(),
    name: "host:1",
    device: "plain",
    kinds: [],
    families: [],
    precisions: [],
    memoryBytes: 1,
    models: [],
    version: "0",
  });
}
