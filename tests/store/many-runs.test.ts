/** Lists of runs by what is written on them, where there are many: the same runs however they are found, and none is read in vain. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { defaultProjectId } from "../../schema/projects.ts";
import type { RunFilter, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, newRun } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  const { id } = await newRun(store);
  const { id: other } = await store.projects.create("other");
  // Every tenth run is of another project: all of the team 0.
  await directly(fixture.url, async (sql) => {
    await sql`
      insert into fine_tunes (project_id, input_hash, name, base_model_id, dataset_id, label_words, hyperparameters, tags, metadata,
        created_at)
      select case when n % 10 = 0 then ${other}::uuid else project_id end, '', 'run ' || n, base_model_id, dataset_id,
        label_words, hyperparameters, array['team ' || n % 10],
        jsonb_build_object('team', (n % 10)::text, 'ticket', n::text, 'all', 'yes', 'age', case when n < 20000 then 'old' else 'new' end,
          'place', case when n < 4 or n > 29997 then 'both' else 'none' end), now() + n * interval '1 second'
      from fine_tunes, generate_series(1, 30000) as n where id = ${id}`;
    await sql`vacuum analyze fine_tunes`;
  });
});
afterAll(() => fixture.drop());

const metadata = (key: string, value: string): RunFilter => ({ metadata: [{ key, value }] });
const own = (filter: RunFilter, after?: string, by = store) =>
  by.fineTunes.list({ ...filter, projectId: defaultProjectId, limit: 3, after });

test("few and many are the same list, page by page", async () => {
  const names = async (filter: RunFilter) => {
    const page = await own(filter);
    const next = await own(filter, page.at(-1)?.id);
    return [...page, ...next].map(({ name }) => name);
  };
  const every = (step: number, from: number) => Array.from({ length: 6 }, (_, k) => `run ${from - k * step}`);
  expect(await names(metadata("team", "3"))).toEqual(every(10, 29_993));
  expect(await names({ tags: ["team 3"] })).toEqual(every(10, 29_993));
  expect(await names(metadata("ticket", "17"))).toEqual(["run 17"]);
  // Those of long ago, many and few, and a page of which some are near.
  expect(await names(metadata("age", "old"))).toEqual(
    [19_999, 19_998, 19_997, 19_996, 19_995, 19_994].map((n) => `run ${n}`),
  );
  expect(await names(metadata("place", "both"))).toEqual(["run 29999", "run 29998", "run 3", "run 2", "run 1"]);
  const most = await names(metadata("all", "yes"));
  expect(most).toEqual([29_999, 29_998, 29_997, 29_996, 29_995, 29_994].map((n) => `run ${n}`));
});

test.each([
  ["fine_tunes_metadata", metadata("team", "0")],
  ["fine_tunes_tags", { tags: ["team 0"] }],
])("those of another project are found by the index %s, and not by reading all runs", async (index, filter) => {
  const scans = async () => {
    const [row] = await directly(
      fixture.url,
      (sql) => sql<{ scans: number }[]>`
        select idx_scan::int as scans from pg_stat_user_indexes where indexrelname = ${index}`,
    );
    return row?.scans ?? 0;
  };
  const before = await scans();
  // Postgres counts when a connection ends.
  const reader = await fixture.another();
  for (let k = 0; k < 5; k++) expect(await own(filter, undefined, reader)).toEqual([]);
  await reader.close();
  await expect.poll(scans, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 5);
});
