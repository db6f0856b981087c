/** What many subscribers cost together, and what a stalled one costs: counts of computed answers and of rows taken, not time. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import {
  GraphQLError,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLInt,
  GraphQLSchema,
  getNamedType,
  isObjectType,
} from "graphql";
import { type Plugin, createYoga } from "graphql-yoga";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { SteplogError } from "../../schema/errors.ts";
import type { StepMetric } from "../../schema/tables.ts";
import { schema } from "../../server/graphql/schema.ts";
import { onlyRow, sharedResults, unwatchedResults } from "../../server/shared-results.ts";
import { FakeWorker, createFineTune, testServer, type TestServer } from "./harness.ts";

const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

describe("an answer to a row", () => {
  let computed = 0;
  const rows: { number: number }[] = upTo(3).map((number) => ({ number }));
  async function* from({ after }: { after: number }) {
    yield* rows.slice(after);
  }
  const Row = new GraphQLObjectType({
    name: "Row",
    fields: {
      number: {
        type: GraphQLInt,
        resolve: ({ number }: { number: number }) => {
          computed += 1;
          if (number > 3) throw new Error("of the store, which nobody may see");
          return number;
        },
      },
    },
  });
  const field = (extensions: Record<string, unknown>) => ({
    type: Row,
    args: { after: { type: new GraphQLNonNull(GraphQLInt) } },
    subscribe: (_root: unknown, args: { after: number }) => from(args),
    resolve: (row: unknown) => row,
    extensions,
  });
  const own = new GraphQLSchema({
    query: new GraphQLObjectType({ name: "Query", fields: { none: { type: GraphQLInt } } }),
    subscription: new GraphQLObjectType({
      name: "Subscription",
      fields: { shared: field(onlyRow), ofViewer: field({}) },
    }),
  });

  const mask = () => new GraphQLError("Something went wrong.");
  /** Of the results that hooks after ours have looked at. */
  let watched = 0;
  const watching: Plugin = {
    onSubscribe: () => ({ onSubscribeResult: () => ({ onNext: () => void (watched += 1) }) }),
  };
  const plugins = [sharedResults(mask), unwatchedResults(), watching];
  const yoga = createYoga({ schema: own, plugins, maskedErrors: { maskError: mask }, logging: false });

  /** What one subscriber of it gets. */
  async function subscriber(query: string, variables: object): Promise<unknown[]> {
    const answers = await events(query, variables);
    return answers.map(({ data }) => data);
  }

  async function events(query: string, variables: object): Promise<{ data?: unknown; errors?: unknown }[]> {
    const response = await yoga.fetch("http://here/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify({ query, variables }),
    });
    const text = await response.text();
    return [...text.matchAll(/^data: (\{.+\})$/gmu)].map(
      ([, json]) => JSON.parse(json ?? "") as { data?: unknown; errors?: unknown },
    );
  }

  test("is computed once for all that select the same, from whatever row they begin", async () => {
    computed = 0;
    const query = "subscription ($after: Int!) { shared(after: $after) { number } }";
    const answers = await Promise.all(upTo(40, 1).map((index) => subscriber(query, { after: index % 3 })));
    answers.forEach((got, index) =>
      expect(got).toEqual(upTo(3, 1 + ((index + 1) % 3)).map((number) => ({ shared: { number } }))),
    );
    expect(computed).toBe(3);
  });

  test("is another for another selection, and for variables that select", async () => {
    computed = 0;
    const query = "subscription ($n: Boolean!) { shared(after: 2) { __typename number @include(if: $n) } }";
    const answers = await Promise.all([true, false, true].map((n) => subscriber(query, { n })));
    const [whole, none] = [{ __typename: "Row", number: 3 }, { __typename: "Row" }];
    expect(answers).toEqual([whole, none, whole].map((shared) => [{ shared }]));
    expect(computed).toBe(1);
    expect(await subscriber("subscription { shared(after: 2) { x: number } }", {})).toEqual([{ shared: { x: 3 } }]);
  });

  test("is computed for each where it may depend on who asks", async () => {
    computed = 0;
    const query = "subscription { ofViewer(after: 0) { number } }";
    await Promise.all(upTo(4).map(() => subscriber(query, {})));
    expect(computed).toBe(12);
  });

  test("goes to each subscriber past the hooks for results, which would cost more than sending it", async () => {
    watched = 0;
    await Promise.all(upTo(10).map(() => subscriber("subscription { shared(after: 0) { number } }", {})));
    expect(watched).toBe(0);
    await subscriber("subscription { ofViewer(after: 0) { number } }", {});
    expect(watched).toBe(3);
  });

  test.each(["shared", "ofViewer"])("that fails tells nothing of the fault to those who follow %s", async (name) => {
    rows.push({ number: 4 });
    const [answer] = await events(`subscription { ${name}(after: 3) { number } }`, {});
    rows.pop();
    expect(answer).toMatchObject({
      data: { [name]: { number: null } },
      errors: [{ message: "Something went wrong." }],
    });
  });

  test("is shared only where nothing that can be selected asks the store or who the viewer is", () => {
    const fields = Object.values(schema.getSubscriptionType()?.getFields() ?? {});
    const reached = new Set<string>();
    const reach = (type: unknown): void => {
      if (!isObjectType(type) || reached.has(type.name)) return;
      reached.add(type.name);
      for (const { type: next } of Object.values(type.getFields())) reach(getNamedType(next));
    };
    for (const { type, extensions } of fields) if (extensions["onlyRow"] === true) reach(getNamedType(type));
    // A type that comes to this list must have fields of its row alone.
    expect([...reached].toSorted()).toEqual(["Event", "EventPayload", "Step", "StepPayload"]);
  });
});

describe("a subscriber that does not read", () => {
  const stallMs = 600;
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ stallMs });
  });
  afterAll(() => server.dispose());

  const padded = upTo(12)
    .map((index) => `${"x".repeat(150)}${index}: skipped`)
    .join(" ");
  const queryOf = (id: string, after: number) =>
    `subscription { steps(fineTuneId: "${id}", after: ${after}) { cursor step { ${padded} } } }`;

  /** Counts the rows that the gateway takes for its subscribers. */
  function countTaken(): { rows: number } {
    const taken = { rows: 0 };
    const { feed } = server.store;
    const original = feed.steps.bind(feed);
    feed.steps = (id, options) => {
      const rows = original(id, options);
      const next = rows.next.bind(rows);
      rows.next = async () => {
        const result = await next();
        if (result.done !== true) taken.rows += 1;
        return result;
      };
      return rows;
    };
    return taken;
  }

  function events(id: string, after: number, query = queryOf(id, after)): Promise<IncomingMessage> {
    const headers = { "content-type": "application/json", accept: "text/event-stream" };
    const asked = request(`${server.url}/graphql`, { method: "POST", headers, agent: false });
    asked.end(JSON.stringify({ query }));
    return once(asked, "response").then(([response]) => response as IncomingMessage);
  }

  async function cursorsOf(response: IncomingMessage): Promise<number[]> {
    let text = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
    } catch {
      // The connection was cut; what came is what counts.
    }
    const whole = text.slice(0, text.lastIndexOf("\n\n") + 2);
    return [...whole.matchAll(/"cursor":(\d+)/gu)].map(([, cursor]) => Number(cursor));
  }

  test("over an event stream holds few rows, is cut off, and goes on after its cursor with nothing lost or twice", async () => {
    const total = 8_000;
    const id = await createFineTune(server, { steps: total });
    const worker = await FakeWorker.claim(server.store);
    const taken = countTaken();
    const stalled = await events(id, 0);
    stalled.pause();
    while (worker.step < total) await worker.train(2_000);
    await worker.succeed();
    await new Promise((resolve) => setTimeout(resolve, 3 * stallMs));
    const held = taken.rows;
    expect(held).toBeLessThan(total - 1_000);
    const first = await cursorsOf(stalled);
    expect(first.length).toBeLessThan(total);
    expect(first).toEqual(upTo(first.length));
    const rest = await cursorsOf(await events(id, first.length));
    expect([...first, ...rest]).toEqual(upTo(total));
  }, 60_000);

  test("over a WebSocket is closed with a code after which clients subscribe again", async () => {
    const id = await createFineTune(server, { steps: 100 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(10);
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const received: string[] = [];
    socket.on("message", (data: Buffer) => received.push(data.toString()));
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "connection_init" }));
    await expect.poll(() => received.length).toBe(1);
    socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: queryOf(id, 0) } }));
    await expect.poll(() => received.length).toBe(11);
    socket.pause();
    await worker.train(10);
    await new Promise((resolve) => setTimeout(resolve, 2 * stallMs));
    const closed = once(socket, "close");
    socket.resume();
    expect((await closed)[0]).toBe(1013);
    expect(received).toHaveLength(21);
    await worker.succeed();
  });

  test("an answer that fails has a number of the log instead of the fault, over an event stream and a WebSocket", async () => {
    const id = await createFineTune(server, { steps: 10 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(1);
    const { feed } = server.store;
    const original = feed.steps.bind(feed);
    feed.steps = (run, options) => {
      const rows = original(run, options);
      const next = rows.next.bind(rows);
      rows.next = async () => {
        const result = await next();
        return result.done === true ? result : { done: false, value: faulty(result.value) };
      };
      return rows;
    };
    const query = `subscription { steps(fineTuneId: "${id}", after: 0) { cursor step { loss } } }`;
    const [overSse, overSocket] = [await firstEvent(query), await firstMessage(query)];
    feed.steps = original;
    await worker.succeed();
    for (const text of [overSse, overSocket]) {
      expect(text).toMatch(/"message":"Something went wrong inside Steplog.*"code":"INTERNAL"/u);
      expect(text).not.toContain("nobody may see");
    }
  });

  const faulty = (row: StepMetric): StepMetric =>
    Object.defineProperty({ ...row }, "loss", {
      get: () => {
        throw new Error("of the store, which nobody may see");
      },
    });

  async function firstEvent(query: string): Promise<string> {
    const response = await events("", 0, query);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) {
      text += String(chunk);
      if (text.includes('"errors"')) break;
    }
    return text;
  }

  async function firstMessage(query: string): Promise<string> {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    const received: string[] = [];
    socket.on("message", (data: Buffer) => received.push(data.toString()));
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "connection_init" }));
    await expect.poll(() => received.length).toBe(1);
    socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
    await expect.poll(() => received.length).toBe(2);
    socket.terminate();
    return received[1] ?? "";
  }

  test("an event stream that fails says so with a code", async () => {
    const id = await createFineTune(server, { steps: 10 });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(2);
    const { feed } = server.store;
    const original = feed.steps.bind(feed);
    feed.steps = async function* (run, options) {
      for await (const step of original(run, options)) {
        yield step;
        throw new SteplogError("UNAVAILABLE", "Postgres is gone.");
      }
    };
    const response = await events(id, 0);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
    expect(text).toMatch(/"cursor":1[\s\S]*"code":"UNAVAILABLE"/u);
    feed.steps = original;
    await worker.succeed();
  });
});
