/** Live streams: every item once and in order, whatever happens to the sockets. */
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { SteplogError } from "../../schema/errors.ts";
import {
  collect,
  createFineTune,
  FakeWorker,
  globalId,
  rowId,
  testServer,
  wsClient,
  type TestServer,
} from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

const stepsQuery =
  "subscription ($id: ID!, $after: Int) { steps(fineTuneId: $id, after: $after) { cursor step { step loss } } }";
interface StepData {
  steps: { cursor: number; step: { step: number; loss: number } };
}

const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

/** A client that speaks the protocol by hand, so that tests can misbehave. */
class RawClient {
  readonly socket: WebSocket;
  readonly received: { type: string; id?: string; payload?: unknown }[] = [];

  constructor(url: string) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    this.socket.on("message", (data: Buffer) => this.received.push(JSON.parse(data.toString()) as never));
  }

  async open(payload: object = {}): Promise<this> {
    await once(this.socket, "open");
    this.send({ type: "connection_init", payload });
    await this.until(() => this.received.some((message) => message.type === "connection_ack"));
    return this;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(id: string, query: string, variables: object = {}): void {
    this.send({ id, type: "subscribe", payload: { query, variables } });
  }

  of(id: string) {
    return this.received.filter((message) => message.id === id);
  }

  async until(condition: () => boolean): Promise<void> {
    const end = Date.now() + 20_000;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`waited in vain; last: ${JSON.stringify(this.received.slice(-3))}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

describe("steps", () => {
  test("past and future steps arrive once and in order, then the stream completes", async () => {
    const id = await createFineTune(server, { steps: 60 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(20);
    const client = wsClient(server);
    const all = collect<StepData>(client, stepsQuery, { id, after: 0 });
    for (let batch = 0; batch < 4; batch += 1) await worker.train(10);
    await worker.succeed();
    const steps = await all;
    expect(steps.map(({ steps: { cursor } }) => cursor)).toEqual(upTo(60));
    expect(steps.every(({ steps: { cursor, step } }) => step.step === cursor && step.loss >= 1)).toBe(true);
    await client.dispose();
  });

  test("a client whose connection broke continues after its cursor", async () => {
    const id = await createFineTune(server, { steps: 100 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(30);
    const cursors: number[] = [];
    for (const enough of [7, 13, 10]) {
      const client = wsClient(server);
      const part = await collect<StepData>(client, stepsQuery, { id, after: cursors.at(-1) ?? 0 }, enough);
      cursors.push(...part.map(({ steps: { cursor } }) => cursor));
      client.terminate();
    }
    await worker.train(70);
    await worker.succeed();
    const client = wsClient(server);
    const rest = await collect<StepData>(client, stepsQuery, { id, after: cursors.at(-1) ?? 0 });
    expect([...cursors, ...rest.map(({ steps: { cursor } }) => cursor)]).toEqual(upTo(100));
    await client.dispose();
  });

  test("a stalled socket buffers almost nothing, delays nobody, and catches up without gaps or duplicates", async () => {
    const total = 12_000;
    const id = await createFineTune(server, { steps: total });
    const worker = await FakeWorker.claim(server.store);
    // Long answers, so that the operating system's buffers do not hide the stall.
    const padding = upTo(12)
      .map((index) => `${"x".repeat(150)}${index}: skipped`)
      .join(" ");
    const query = `subscription { steps(fineTuneId: "${id}") { cursor step { loss ${padding} } } }`;
    const pulled = countPulls();
    const stalled = await new RawClient(server.url).open();
    stalled.subscribe("slow", query);
    await worker.train(10);
    await stalled.until(() => stalled.of("slow").length === 10);
    stalled.socket.pause();

    const quick = await new RawClient(server.url).open();
    quick.subscribe("quick", query);
    while (worker.step < total) await worker.train(Math.min(2_000, total - worker.step));
    await worker.succeed();
    await quick.until(() => quick.of("quick").at(-1)?.type === "complete");
    expect(cursorsOf(quick, "quick")).toEqual(upTo(total));

    const [slowPulls = 0, quickPulls = 0] = pulled;
    expect(quickPulls).toBe(total);
    expect(stalled.of("slow")).toHaveLength(10);
    expect(slowPulls).toBeLessThan(total - 1_024);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(pulled[0]).toBe(slowPulls);

    stalled.socket.resume();
    await stalled.until(() => stalled.of("slow").at(-1)?.type === "complete");
    expect(cursorsOf(stalled, "slow")).toEqual(upTo(total));
    for (const client of [stalled, quick]) client.socket.close();
  }, 60_000);

  /** Number of steps that each subscriber has read from the store, in order of subscription. */
  function countPulls(): number[] {
    const counts: number[] = [];
    const { feed } = server.store;
    const original = feed.steps.bind(feed);
    feed.steps = async function* (fineTuneId, options) {
      const subscriber = counts.push(0) - 1;
      for await (const step of original(fineTuneId, options)) {
        counts[subscriber] = (counts[subscriber] ?? 0) + 1;
        yield step;
      }
    };
    return counts;
  }

  function cursorsOf(client: RawClient, id: string): (number | undefined)[] {
    const payloads = client.of(id).filter((message) => message.type === "next");
    return payloads.map(({ payload }) => (payload as { data: StepData }).data.steps.cursor);
  }

  test("server-sent events carry the same stream", async () => {
    const id = await createFineTune(server, { steps: 5 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(5);
    await worker.succeed();
    const response = await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ query: stepsQuery, variables: { id, after: 2 } }),
    });
    const text = await response.text();
    const payloads = [...text.matchAll(/^data: (\{.+\})$/gmu)].map(
      (match) => JSON.parse(match[1] ?? "") as { data: StepData },
    );
    expect(payloads.map(({ data }) => data.steps.cursor)).toEqual([3, 4, 5]);
    expect(text).toContain("event: complete");
  });
});

describe("status and events", () => {
  test("the status stream starts with the current state and ends with a final status", async () => {
    const id = await createFineTune(server, { steps: 30 });
    const client = wsClient(server);
    const query = "subscription ($id: ID!) { fineTuneStatus(fineTuneId: $id) { id status progress { step } } }";
    interface Data {
      fineTuneStatus: { id: string; status: string; progress: { step: number } };
    }
    const first = await collect<Data>(client, query, { id }, 1);
    expect(first).toEqual([{ fineTuneStatus: { id, status: "QUEUED", progress: { step: 0 } } }]);
    const all = collect<Data>(client, query, { id });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(30);
    await worker.succeed();
    const rows = (await all).map(({ fineTuneStatus: row }) => row);
    expect(rows.at(-1)).toMatchObject({ status: "SUCCEEDED", progress: { step: 30 } });
    const order = ["QUEUED", "RUNNING", "SUCCEEDED"];
    const ranks = rows.map((row) => order.indexOf(row.status));
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    await client.dispose();
  });

  test("events resume after a cursor", async () => {
    const id = await createFineTune(server);
    const worker = await FakeWorker.claim(server.store);
    await server.store.recordEvent(worker.job, { type: "NOTE", message: "hello" });
    await worker.succeed();
    const client = wsClient(server);
    const query =
      "subscription ($id: ID!, $after: Int!) { events(fineTuneId: $id, after: $after) { cursor event { sequence type } } }";
    interface Data {
      events: { cursor: number; event: { type: string } };
    }
    const all = (await collect<Data>(client, query, { id, after: 0 })).map(({ events }) => events);
    expect(all.map((event) => event.cursor)).toEqual(upTo(all.length));
    expect(all[0]?.event.type).toBe("QUEUED");
    const rest = (await collect<Data>(client, query, { id, after: 2 })).map(({ events }) => events);
    expect(rest).toEqual(all.slice(2));
    await client.dispose();
  });
});

describe("a socket outlives its operations", () => {
  test.each([
    ["a syntax error", "subscription {"],
    ["an unknown field", "subscription { nothing }"],
    ["a missing variable", "subscription ($id: ID!) { steps(fineTuneId: $id) { cursor } }"],
    ["a malformed id", 'subscription { steps(fineTuneId: "x") { cursor } }'],
    ["a cursor below zero", `subscription { steps(fineTuneId: "${globalId("FineTune", "x")}", after: -1) { cursor } }`],
  ])("%s ends the operation with a code", async (_what, query) => {
    const client = await new RawClient(server.url).open();
    client.subscribe("bad", query);
    await client.until(() => client.of("bad").length > 0);
    expect(JSON.stringify(client.of("bad")[0])).toContain('"code":"INVALID_ARGUMENT"');
    client.subscribe("good", "{ service { pageSize } }");
    await client.until(() => client.of("good").some((message) => message.type === "complete"));
    expect(client.of("good")[0]?.payload).toMatchObject({ data: { service: { pageSize: 100 } } });
    client.socket.close();
  });

  test("an unknown run is NOT_FOUND", async () => {
    const client = await new RawClient(server.url).open();
    const id = globalId("FineTune", "00000000-0000-4000-8000-000000000000");
    client.subscribe("a", `subscription { steps(fineTuneId: "${id}") { cursor } }`);
    await client.until(() => client.of("a").length > 0);
    expect(JSON.stringify(client.of("a")[0])).toContain('"code":"NOT_FOUND"');
    client.socket.close();
  });

  test.each([
    ["a failure that the store names", () => new SteplogError("UNAVAILABLE", "Postgres is gone."), "UNAVAILABLE"],
    ["a fault of ours", () => new Error("secret detail"), "INTERNAL"],
  ])("%s in the middle of a stream ends it with a code", async (_what, failure, code) => {
    const id = await createFineTune(server);
    const { feed } = server.store;
    const original = feed.events.bind(feed);
    feed.events = async function* (fineTuneId, options) {
      for await (const event of original(fineTuneId, options)) {
        yield event;
        throw failure();
      }
    };
    const client = await new RawClient(server.url).open();
    client.subscribe("a", `subscription { events(fineTuneId: "${id}") { cursor } }`);
    await client.until(() => client.of("a").length >= 2);
    expect(
      client
        .of("a")
        .map(({ type }) => type)
        .slice(0, 2),
    ).toEqual(["next", "error"]);
    expect(client.of("a")[1]?.payload).toMatchObject([{ extensions: { code } }]);
    expect(JSON.stringify(client.received)).not.toContain("secret");
    feed.events = original;
    client.socket.close();
    await server.store.fineTunes.cancel(rowId(id));
  });

  test("the number of operations on a socket is limited", async () => {
    const id = await createFineTune(server);
    const client = await new RawClient(server.url).open();
    for (const index of upTo(101))
      client.subscribe(String(index), `subscription { steps(fineTuneId: "${id}") { cursor } }`);
    await client.until(() => client.received.some((message) => message.type === "error"));
    const refused = client.received.filter((message) => message.type === "error");
    expect(refused).toHaveLength(1);
    expect(JSON.stringify(refused)).toMatch(/at most 100 operations/u);
    client.socket.close();
    await server.store.fineTunes.cancel(rowId(id));
  });

  test("a client that leaves frees its streams", async () => {
    const id = await createFineTune(server);
    const { feed } = server.store;
    const original = feed.steps.bind(feed);
    let open = 0;
    feed.steps = (fineTuneId, options) => {
      const source = original(fineTuneId, options);
      open += 1;
      const end = source.return.bind(source);
      let ended = false;
      source.return = () => {
        if (!ended) open -= 1;
        ended = true;
        return end();
      };
      return source;
    };
    const clients = await Promise.all(upTo(3).map(() => new RawClient(server.url).open()));
    for (const client of clients) client.subscribe("a", `subscription { steps(fineTuneId: "${id}") { cursor } }`);
    const leaving = new AbortController();
    await fetch(`${server.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ query: stepsQuery, variables: { id } }),
      signal: leaving.signal,
    });
    await clients[0]?.until(() => open === 4);
    leaving.abort();
    clients[0]?.send({ id: "a", type: "complete" });
    clients[1]?.socket.close();
    clients[2]?.socket.terminate();
    await clients[0]?.until(() => open === 0);
    feed.steps = original;
    clients[0]?.socket.close();
  });
});
