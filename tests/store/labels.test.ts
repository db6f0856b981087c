/** What people write on runs, and the lists that go by it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { limits } from "../../schema/limits.ts";
import type { RunFilter, RunSort, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { claimed, newInput, newRun } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
/** Their ids, by name. */
const ids: Record<string, string> = {};
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  const labels = [
    ["b 100%", ["x", "y"], 0],
    ["a", ["x"], 0],
    ["c_d", [], 5],
  ] as const;
  for (const [name, tags, priority] of labels) {
    const { fineTune } = await store.fineTunes.create({ ...(await newInput(store)), name, tags, priority });
    ids[name] = fineTune.id;
  }
  // In another order than they were created.
  for (const name of ["a", "b 100%"]) await store.fineTunes.cancel(ids[name] ?? "");
});
afterAll(() => fixture.drop());

async function names(query: RunFilter & { sort?: RunSort }): Promise<string[]> {
  const seen: string[] = [];
  for (let after: string | undefined; ;) {
    const [run] = await store.fineTunes.list({ ...query, limit: 1, after });
    if (!run) break;
    seen.push(run.name);
    after = run.id;
  }
  expect(await store.fineTunes.count(query)).toBe(seen.length);
  const back = await store.fineTunes.list({ ...query, limit: 10, inverted: true });
  expect(back.map(({ name }) => name)).toEqual(seen.toReversed());
  return seen;
}

test("lists by filter, in each order, page by page from either end", async () => {
  expect(await names({})).toEqual(["c_d", "a", "b 100%"]);
  expect(await names({ sort: "NAME" })).toEqual(["a", "b 100%", "c_d"]);
  expect(await names({ sort: "FINISHED" })).toEqual(["b 100%", "a"]);
  expect(await names({ tags: ["x"] })).toEqual(["a", "b 100%"]);
  expect(await names({ tags: ["y", "x"] })).toEqual(["b 100%"]);
  expect(await names({ statuses: ["QUEUED", "RUNNING"] })).toEqual(["c_d"]);
  expect(await names({ statuses: [] })).toEqual([]);
  expect(await names({ baseModel: "tiny" })).toHaveLength(3);
  expect(await names({ baseModel: "other" })).toEqual([]);
});

test("finds part of a name, whatever its case, and takes no sign for a pattern", async () => {
  expect(await names({ name: "C_" })).toEqual(["c_d"]);
  expect(await names({ name: "0%" })).toEqual(["b 100%"]);
  expect(await names({ name: "_" })).toEqual(["c_d"]);
  expect(await names({ name: "\\" })).toEqual([]);
});

test("searches names, tags and ids at once", async () => {
  expect(await names({ search: "C_" })).toEqual(["c_d"]);
  expect(await names({ search: "Y" })).toEqual(["b 100%"]);
  const id = ids["a"] ?? "";
  for (const beginning of [id, id.slice(0, 8).toUpperCase(), id.slice(0, 11)])
    expect(await names({ search: beginning, tags: ["x"] })).toEqual(["a"]);
  expect(await names({ search: `${id.slice(0, -1)}x` })).toEqual([]);
});

test("finds when they were created", async () => {
  const { createdAt } = (await store.fineTunes.get(ids["a"] ?? "")) ?? expect.unreachable("it was created");
  const after = new Date(createdAt.getTime() + 1);
  expect(await names({ createdBefore: createdAt })).toEqual(["b 100%"]);
  expect(await names({ createdFrom: after, createdBefore: new Date(0) })).toEqual([]);
});

test("archived runs are apart, and come back", async () => {
  const id = ids["a"] ?? "";
  const first = await store.fineTunes.label(id, { archived: true });
  expect(await store.fineTunes.label(id, { archived: true })).toEqual(first);
  expect(await names({ archived: false })).toEqual(["c_d", "b 100%"]);
  expect(await names({ archived: true })).toEqual(["a"]);
  await store.fineTunes.label(id, { archived: false });
  expect(await names({ archived: true })).toEqual([]);
});

test("what is left out stays; labels are replaced whole", async () => {
  const { id } = await newRun(store);
  await store.fineTunes.label(id, { tags: ["one"], metadata: { ticket: "42" } });
  await store.fineTunes.label(id, { name: "other", tags: ["two"] });
  const labels = { name: "other", tags: ["two"], metadata: { ticket: "42" }, priority: 0, archivedAt: null };
  expect(await store.fineTunes.label(id, {})).toMatchObject(labels);
  // Two at once keep both.
  await Promise.all([
    store.fineTunes.label(id, { addTags: ["three", "two"] }),
    store.fineTunes.label(id, { addTags: ["four"], removeTags: ["none"] }),
  ]);
  expect((await store.fineTunes.label(id, { removeTags: ["two"] })).tags.toSorted()).toEqual(["four", "three"]);
  const many = Array.from({ length: limits.tags }, (_, n) => String(n));
  await expect(store.fineTunes.label(id, { addTags: many })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await store.fineTunes.cancel(id);
  await expect(store.fineTunes.label(crypto.randomUUID(), {})).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a run of higher priority is claimed first, when created, changed or resumed", async () => {
  const [low, high] = [await newRun(store), await newRun(store)];
  await store.fineTunes.label(high.id, { priority: 9 });
  await store.fineTunes.pause(high.id);
  await store.fineTunes.resume(high.id);
  for (const subject of [high.id, ids["c_d"], low.id]) expect(await claimed(store)).toMatchObject({ subject });
});

test("a request with a key of the release before, which knew no labels, finds its run", async () => {
  const input = await newInput(store, "key");
  const { fineTune } = await store.fineTunes.create(input);
  expect(await store.fineTunes.create(input)).toMatchObject({ fineTune: { id: fineTune.id }, created: false });
  const tagged = { ...input, tags: ["x"] };
  await expect(store.fineTunes.create(tagged)).rejects.toMatchObject({ code: "CONFLICT" });
});
