/** Closing: running requests finish, live clients are told to reconnect, and it does not take long. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createFineTune, FakeWorker, rows, testServer, wsClient, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

test("a live client reconnects to the next server and misses nothing", async () => {
  const id = await createFineTune(server, { steps: 40 });
  const worker = await FakeWorker.claim(server.store);
  await worker.train(10);
  const first = await server.another();
  const port = Number(new URL(first.url).port);
  const closed: number[] = [];
  const client = wsClient(first, {
    retryAttempts: 200,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    on: { closed: (event) => closed.push((event as { code: number }).code) },
  });
  const cursors: number[] = [];
  const done = new Promise<void>((resolve, reject) => {
    const variables = { id, after: 0 };
    const query = "subscription ($id: ID!, $after: Int) { steps(fineTuneId: $id, after: $after) { cursor } }";
    client.subscribe<{ steps: { cursor: number } }>(
      { query, variables },
      {
        next: ({ data }) => {
          cursors.push(data?.steps.cursor ?? 0);
          // graphql-ws sends the same operation object when it reconnects, so the cursor is updated in it.
          variables.after = cursors.at(-1) ?? 0;
        },
        error: reject,
        complete: resolve,
      },
    );
  });
  await until(() => cursors.length === 10);
  const start = performance.now();
  await first.close();
  expect(performance.now() - start).toBeLessThan(2_000);
  await until(() => closed.length > 0);
  expect(closed[0]).toBe(1012);
  const second = await server.another({ port });
  await worker.train(30);
  await worker.succeed();
  await done;
  expect(cursors).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  await client.dispose();
  await second.close();
});

test("a running request is answered; new ones are refused", async () => {
  const other = await server.another();
  const { store } = server;
  const original = store.datasets.create.bind(store.datasets);
  const started = new Promise<void>((resolve) => {
    store.datasets.create = async (dataset) => {
      resolve();
      await new Promise((wait) => setTimeout(wait, 300));
      return original(dataset);
    };
  });
  const answer = fetch(`${other.url}/datasets?name=slow`, { method: "POST", body: rows(2) });
  await started;
  const closing = other.close();
  await expect(fetch(`${other.url}/healthz`)).rejects.toThrow(/fetch failed/u);
  expect((await answer).status).toBe(201);
  await closing;
  store.datasets.create = original;
});

test("event streams and silent sockets do not delay it", async () => {
  const id = await createFineTune(server);
  const other = await server.another();
  const query = `subscription { steps(fineTuneId: "${id}") { cursor } }`;
  const headers = { accept: "text/event-stream", "content-type": "application/json" };
  const stream = await fetch(`${other.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  const ended = stream.text().catch(() => "broken");
  const silent = new WebSocket(`${other.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  await new Promise((resolve) => silent.once("open", resolve));
  silent.pause();
  const start = performance.now();
  await Promise.all([other.close(), other.close()]);
  expect(performance.now() - start).toBeLessThan(5_000);
  await ended;
  silent.terminate();
});
