/** Lists of runs: every filter with every order, against the same rule in plain words, and pages from either end. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { fineTuneStatuses } from "../../schema/states.ts";
import type { FineTune } from "../../schema/tables.ts";
import type { RunFilter, RunOrder, RunSort, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { append, claimed, directly, newInput, newRun, newTraining } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
let all: FineTune[];
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  const { id } = await newRun(store);
  const other = await store.baseModels.register({ ...(await anyModel()), name: "other" });
  // Of equal values there are many, so that the id has to break ties.
  await directly(
    fixture.url,
    (sql) => sql`
      insert into fine_tunes (input_hash, name, base_model_id, dataset_id, label_words, hyperparameters, status, tags, metadata,
        archived_at, created_at, finished_at, steps_done, best_score, best_loss)
      select '', (array['alpha', 'Beta', 'beta_1', '100%'])[1 + n % 4],
        case when n % 3 = 0 then ${other.id}::uuid else base_model_id end, dataset_id, label_words, hyperparameters,
        (${[...fineTuneStatuses]}::text[])[1 + n % 6], (array['{}', '{x}', '{x,y}'])[1 + n % 3]::text[],
        case n % 4 when 0 then '{}' else jsonb_build_object('team', 'a' || n % 4, 'say "so"', 'a=b') end,
        case when n % 7 = 0 then now() end, now() - (n % 10) * interval '1 hour',
        case when n % 6 > 2 then now() - (n % 5) * interval '1 minute' end, n % 11,
        case when n % 4 > 0 then (n % 8) / 8.0 end, case when n % 5 > 0 then (n % 9)::float8 end
      from fine_tunes, generate_series(1, 119) as n where id = ${id}`,
  );
  await store.fineTunes.cancel(id);
  all = await store.fineTunes.list({ limit: 1_000 });
  otherModel = other.id;
});
afterAll(() => fixture.drop());

let otherModel: string;

const anyModel = async () => ({
  hash: "ab".repeat(32),
  family: "opt",
  dtype: "F32",
  parameters: 4,
  bytes: 16,
  contextLength: 32,
});

/** What each order goes by, and whether the least comes first. */
const orders: Record<RunSort, { of: (run: FineTune) => number | Date | string | null; ascending?: true }> = {
  CREATED: { of: (run) => run.createdAt },
  FINISHED: { of: (run) => run.finishedAt },
  NAME: { of: (run) => nameOrder.indexOf(run.name), ascending: true },
  STEPS: { of: (run) => run.stepsDone },
  SCORE: { of: (run) => run.bestScore },
  LOSS: { of: (run) => run.bestLoss, ascending: true },
};
/** As the test database has it, which is for its collation to say. */
let nameOrder: string[] = [];

function matches(run: FineTune, filter: RunFilter): boolean {
  const { statuses, tags, metadata, baseModel, name, search, archived, createdFrom, createdBefore } = filter;
  const has = (text: string, part: string) => text.toLowerCase().includes(part.toLowerCase());
  return (
    (statuses === undefined || statuses.includes(run.status)) &&
    (tags ?? []).every((tag) => run.tags.includes(tag)) &&
    (metadata ?? []).every(({ key, value }) => run.metadata[key] === value) &&
    (baseModel === undefined || (run.baseModelId === otherModel) === (baseModel === "other")) &&
    (name === undefined || has(run.name, name)) &&
    (search === undefined || [run.name, ...run.tags].some((text) => has(text, search))) &&
    (archived === undefined || (run.archivedAt !== null) === archived) &&
    (createdFrom === undefined || run.createdAt >= createdFrom) &&
    (createdBefore === undefined || run.createdAt < createdBefore)
  );
}

function expected(filter: RunFilter, sort: RunSort, reverse = false): string[] {
  const { of, ascending = false } = orders[sort];
  const sign = ascending === reverse ? -1 : 1;
  const less = (a: FineTune, b: FineTune) => {
    const [one, other] = [of(a) ?? 0, of(b) ?? 0].map((value) => (value instanceof Date ? value.getTime() : value));
    if (one !== other) return (one ?? 0) < (other ?? 0) ? -sign : sign;
    return a.id < b.id ? -sign : sign;
  };
  const some = all.filter((run) => matches(run, filter) && of(run) !== null);
  return some.toSorted(less).map(({ id }) => id);
}

/** All pages, from the start or the end. */
async function pages(filter: RunFilter, order: RunOrder, from: "start" | "end"): Promise<string[]> {
  const seen: string[] = [];
  for (let cursor: string | undefined; ; cursor = seen.at(-1)) {
    const page = from === "start" ? { after: cursor } : { before: cursor, inverted: true };
    const rows = await store.fineTunes.list({ ...filter, ...order, ...page, limit: 17 });
    seen.push(...rows.map(({ id }) => id));
    if (rows.length < 17) return seen;
  }
}

const hourAgo = () => new Date(Date.now() - 3.5 * 3_600_000);
const filters: RunFilter[] = [
  {},
  { statuses: ["SUCCEEDED", "FAILED", "RUNNING"] },
  { tags: ["x"], archived: false },
  { baseModel: "other", name: "bet" },
  { name: "0%", createdFrom: hourAgo() },
  { statuses: ["SUCCEEDED", "CANCELLED"], tags: ["x"], baseModel: "tiny", archived: false, createdBefore: hourAgo() },
  { archived: true, name: "A", createdFrom: hourAgo() },
  { search: "Y", archived: false },
  { search: "_" },
  { metadata: [{ key: "team", value: "a1" }] },
  {
    metadata: [
      { key: 'say "so"', value: "a=b" },
      { key: "team", value: "a2" },
    ],
    tags: ["x"],
  },
  {
    metadata: [
      { key: "team", value: "a1" },
      { key: "team", value: "a2" },
    ],
  },
];

test.each(Object.keys(orders) as RunSort[])("every filter in the order %s", async (sort) => {
  const named = await store.fineTunes.list({ sort: "NAME", limit: 1_000 });
  nameOrder = [...new Set(named.map(({ name }) => name))];
  for (const [index, filter] of filters.entries()) {
    // From either end of the order in turn.
    const reverse = index % 2 === 1;
    const wanted = expected(filter, sort, reverse);
    expect(await pages(filter, { sort, reverse }, "start")).toEqual(wanted);
    expect(await pages(filter, { sort, reverse }, "end")).toEqual(wanted.toReversed());
    expect(await store.fineTunes.count({ ...filter, sort })).toBe(wanted.length);
  }
  expect(expected({}, sort).length).toBeGreaterThan(30);
});

test("a run is sorted by its best evaluation, by its own metric, also of a worker of the release before", async () => {
  const { run, job } = await newTraining(store);
  const measured = async (step: number, accuracy: number, loss: number) => {
    if (step > 0) await append(store, job, step - 1, 1);
    await store.recordEvaluation(job, { entries: step, step, rows: 2, accuracy, loss });
    const { bestScore, bestLoss } = (await store.fineTunes.get(run.id)) ?? expect.unreachable("it was created");
    return [bestScore, bestLoss];
  };
  expect(await measured(0, 0.5, 1)).toEqual([0.5, 1]);
  expect(await measured(1, 0.75, 2)).toEqual([0.75, 2]);
  expect(await measured(2, 0.5, 0.5)).toEqual([0.75, 2]);
  expect(await measured(3, 1, NaN)).toEqual([0.75, 2]);
  // The release before records evaluations only.
  await directly(
    fixture.url,
    (sql) => sql`update evaluations set accuracy = 0.9 where fine_tune_id = ${run.id} and step = 2`,
  );
  expect(await measured(4, 0.1, 3)).toEqual([0.9, 0.5]);
});

test("without scores, or by the metric LOSS, a run has its least loss and no score", async () => {
  const { hyperparameters, ...input } = await newInput(store);
  await store.fineTunes.create({ ...input, hyperparameters: { ...hyperparameters, bestMetric: "LOSS" } });
  const job = await claimed(store);
  await store.recordEvaluation(job, { entries: 0, step: 0, rows: 2, accuracy: 0.5, loss: 0.25 });
  expect(await store.fineTunes.get(job.subject)).toMatchObject({ bestScore: null, bestLoss: 0.25 });
});
