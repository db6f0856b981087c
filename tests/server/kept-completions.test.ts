/** How long a gateway keeps prompts and answers, and that it deletes them by itself. */
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../cli/config.ts";
import { Attention } from "../../server/attention.ts";
import { newCompletion } from "../store/serving-fixtures.ts";
import { create, named } from "./asking.ts";
import { FakeLane } from "./fake-lane.ts";
import { rowId, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

interface Created {
  readonly data: { readonly createCompletion: { readonly completion: { readonly id: string } } };
}

test("STEPLOG_KEEP_COMPLETIONS says how long, a day unless told", async () => {
  const lane = await FakeLane.start(server.store);
  const keptS = async (url: string) => {
    const response = await fetch(`${url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: create, variables: { input: { ...named, prompt: "It was" } } }),
    });
    const { data } = (await response.json()) as Created;
    const row = await server.store.completions.get(rowId(data.createCompletion.completion.id));
    return ((row?.expiresAt.getTime() ?? 0) - (row?.createdAt.getTime() ?? 0)) / 1_000;
  };
  expect(await keptS(server.url)).toBe(86_400);
  for (const [given, seconds] of [
    [{ STEPLOG_KEEP_COMPLETIONS: "90" }, 90],
    [{}, 86_400],
  ] as const) {
    const other = await server.another({ completions: readConfig(given).completions });
    expect(await keptS(other.url)).toBe(seconds);
    await other.close();
  }
  await lane.stop();
});

test("a gateway deletes what has expired, where there is no worker, and nothing else", async () => {
  const { store } = server;
  const [expired, kept] = [await newCompletion(store, { keepMs: 1 }), await newCompletion(store)];
  const attention = new Attention(store, pino({ level: "silent" }), 20);
  await expect.poll(() => store.completions.get(expired.id), { timeout: 10_000 }).toBeNull();
  attention.close();
  expect(await store.completions.get(kept.id)).toMatchObject({ status: "QUEUED" });
});
