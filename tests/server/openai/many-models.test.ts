/** GET /v1/models where there are more checkpoints than one answer has: pages that lose nothing and repeat nothing. */
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testServer, type TestServer } from "../harness.ts";

const runs = 600;
let server: TestServer;

beforeAll(async () => {
  server = await testServer();
  const sql = postgres(server.databaseUrl, { max: 1, onnotice: () => {} });
  await sql`insert into datasets (name, sha256, bytes, rows) values ('d', 'ab', 1, 1)`;
  // Two at the same time each, so that the order needs more than a time.
  await sql`insert into fine_tunes (input_hash, name, base_model_id, dataset_id, label_words, hyperparameters, created_at)
    select 'x', 'run', ${server.model.id}, (select id from datasets), '{}', '{}', now() - (i / 2) * interval '1 minute'
    from generate_series(1, ${runs}) i`;
  await sql`insert into checkpoints (fine_tune_id, entries, step, chain, weights_digest)
    select id, k, k, '\\x00', 'ab' from fine_tunes, generate_series(1, 3) k`;
  await sql`insert into evaluations (fine_tune_id, entries, step, rows, loss) select id, 2, 2, 1, 1 from fine_tunes`;
  await sql.end();
});
afterAll(() => server.dispose());

interface Page {
  readonly data: readonly { readonly id: string }[];
  readonly has_more: boolean;
}

const page = async (query: string): Promise<Page> =>
  (await (await fetch(`${server.url}/v1/models?${query}`)).json()) as Page;

test("an answer has 1,000 names at most, and a walk by the last name of each has every name once", async () => {
  const first = await page("");
  expect([first.data.length, first.has_more]).toEqual([1_000, true]);
  expect((await page("limit=10000")).data).toHaveLength(1_000);
  expect(await page("limit=10001")).toMatchObject({ error: { code: "invalid_value", param: "limit" } });
  const names: string[] = [];
  for (let more = true; more;) {
    const next = await page(`limit=333&after=${encodeURIComponent(names.at(-1) ?? "")}`.replace(/&after=$/u, ""));
    names.push(...next.data.map(({ id }) => id));
    more = next.has_more;
  }
  // Of each run its best and its last, and the base.
  expect(names).toHaveLength(2 * runs + 1);
  expect(new Set(names).size).toBe(names.length);
  expect(names.slice(0, 1_000)).toEqual(first.data.map(({ id }) => id));
});
