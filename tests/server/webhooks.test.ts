/** Webhooks from a change to a real receiver, by the API. */
import { Readable } from "node:stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodeGlobalID } from "@pothos/plugin-relay";
import { type Scope, defaultProjectId } from "../../schema/projects.ts";
import { globalIdOf, webhookEvents } from "../../schema/webhooks.ts";
import { addressesOf } from "../../server/webhooks/addresses.ts";
import { posterOf } from "../../server/webhooks/post.ts";
import { directly } from "../store/fixtures.ts";
import { claimAny } from "../support/claims.ts";
import { until } from "../process/service.ts";
import { FakeWorker, type TestServer, createDataset, createFineTune, rowId, testServer } from "./harness.ts";
import { type Receiver, startReceiver } from "./webhook-receiver.ts";

let server: TestServer;
let receiver: Receiver;
beforeAll(async () => {
  server = await testServer({ allowPrivateWebhooks: ["localhost"] });
});
afterAll(() => server.dispose());
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const { id } of await hooks()) await server.ask(`mutation { deleteWebhook(id: "${id}") }`);
  await receiver.close();
});

interface Hook {
  readonly id: string;
  readonly enabled: boolean;
  readonly disabledReason: string | null;
  readonly failingSince: string | null;
  readonly events: readonly string[];
}

interface Delivery {
  readonly id: string;
  readonly webhookId: string;
  readonly type: string;
  readonly status: string;
  readonly nextAttemptAt: string | null;
  readonly attempts: readonly {
    readonly number: number;
    readonly responseCode: number | null;
    readonly error: string | null;
  }[];
}

const fields = "id enabled disabledReason failingSince events";
const createMutation = `mutation ($input: CreateWebhookInput!) {
  createWebhook(input: $input) { secret webhook { ${fields} } }
}`;

async function hooks(): Promise<Hook[]> {
  return (await server.ask<{ webhooks: Hook[] }>(`{ webhooks { ${fields} } }`)).webhooks;
}

async function subscribe(events?: readonly string[], at = receiver): Promise<Hook> {
  const input = { url: at.url, description: "a test", ...(events && { events }) };
  const { createWebhook } = await server.ask<{ createWebhook: { secret: string; webhook: Hook } }>(createMutation, {
    input,
  });
  at.secret = createWebhook.secret;
  return createWebhook.webhook;
}

async function deliveries({ id }: Hook): Promise<Delivery[]> {
  const query = `query ($id: ID!) { webhook(id: $id) { deliveries { nodes {
    id webhookId type status nextAttemptAt attempts { number responseCode error }
  } } } }`;
  return (await server.ask<{ webhook: { deliveries: { nodes: Delivery[] } } }>(query, { id })).webhook.deliveries.nodes;
}

/** Once every delivery of the hook satisfies the condition. */
async function settled(hook: Hook, condition: (delivery: Delivery) => boolean): Promise<Delivery[]> {
  let found: Delivery[] = [];
  await until("the log of deliveries", 15_000, async () => {
    found = await deliveries(hook);
    return found.length > 0 && found.every(condition);
  });
  return found;
}

/** As if the pause were over. */
async function skipPause(): Promise<void> {
  await sql("update webhook_deliveries set next_attempt_at = now() where status = 'PENDING'");
  await sql("select pg_notify('steplog_fine_tunes', 'webhooks')");
}

const sql = (statement: string) => directly(server.databaseUrl, (client) => client.unsafe(statement));

describe("a change", () => {
  test("is told once, signed, by id, name and status, and without rows", async () => {
    const hook = await subscribe();
    const id = await createFineTune(server, { steps: 2 }, "my run");
    const worker = await FakeWorker.claim(server.store);
    await worker.train(2);
    const measured = { entries: 2, step: 2, rows: 3, loss: 0.5, accuracy: null };
    await server.store.recordEvaluation(worker.job, measured);
    await server.store.recordEvaluation(worker.job, measured);
    const checkpoint = await worker.checkpoint();
    await worker.checkpoint();
    await worker.succeed();
    await server.store.checkpoints.requestWeights(checkpoint.id);
    const rebuild = await claimAny(server.store);
    await server.store.finishMaterialise(rebuild ?? { id: 0, token: 0 }, { error: "no room" });
    const types = [
      "dataset.created fine_tune.queued fine_tune.running fine_tune.evaluated checkpoint.created fine_tune.succeeded",
      "checkpoint.weights_failed",
    ].flatMap((some) => some.split(" "));
    const received = [...(await receiver.until(types.length))];
    expect(received.map(({ message }) => message.type).toSorted()).toEqual(types.toSorted());
    expect(new Set(received.map((one) => one.id)).size).toBe(types.length);
    const dataOf = (type: string) => received.find(({ message }) => message.type === type)?.message.data;
    expect(dataOf("fine_tune.succeeded")).toEqual({
      id,
      name: "my run",
      status: "SUCCEEDED",
      step: 2,
      steps: 2,
      errorCode: null,
    });
    expect(dataOf("fine_tune.evaluated")).toMatchObject({ id, evaluation: { kind: "VALIDATION", step: 2, loss: 0.5 } });
    expect(dataOf("checkpoint.created")).toMatchObject({
      id: globalIdOf("Checkpoint", checkpoint.id),
      fineTune: { id, name: "my run" },
    });
    expect(received.map(({ body }) => body).join("")).not.toMatch(/ good|no room/u);
    const log = await settled(hook, ({ status }) => status === "DELIVERED");
    expect(log.map(({ webhookId }) => webhookId).toSorted()).toEqual(received.map((one) => one.id).toSorted());
    expect(log[0]?.attempts).toEqual([{ number: 1, responseCode: 204, error: null }]);
  });

  test.each(["SUCCEEDED", "FAILED", "CANCELLED"] as const)("of an evaluation is told as well: %s", async (status) => {
    const dataset = await createDataset(server);
    await subscribe(["evaluation.queued", "evaluation.running", `evaluation.${status.toLowerCase()}` as const]);
    const query = "mutation ($input: CreateEvaluationInput!) { createEvaluation(input: $input) { evaluation { id } } }";
    const input = { model: { name: "bytes" }, dataset };
    const { createEvaluation } = await server.ask<{ createEvaluation: { evaluation: { id: string } } }>(query, {
      input,
    });
    const { id } = createEvaluation.evaluation;
    const job = await claimAny(server.store);
    if (!job) throw new Error("the evaluation waits");
    const measured = { rows: 3, loss: 0.5, accuracy: null, f1: null, exactMatch: null };
    if (status === "SUCCEEDED") await server.store.finishEvaluation(job, { status, measured });
    if (status === "FAILED")
      await server.store.finishEvaluation(job, { status, code: "INTERNAL", message: "x", issues: [] });
    if (status === "CANCELLED") {
      await server.ask(`mutation { cancelEvaluation(id: "${id}") { id } }`);
      await server.store.finishEvaluation(job, { status });
    }
    const received = await receiver.until(3);
    expect(received.map(({ message }) => message.type).toSorted()).toEqual(
      ["queued", "running", status.toLowerCase()].map((one) => `evaluation.${one}`).toSorted(),
    );
    expect(received.every(({ message }) => message.data["id"] === id)).toBe(true);
  });

  test("is told only to webhooks of its project that want it, and is no message without one", async () => {
    await subscribe(["fine_tune.cancelled"]);
    await sql(`insert into projects (id, name) values ('${otherId}', 'other')`);
    const others = server.store.of({ projectId: otherId, scopes: new Set<Scope>(["admin"]), key: null });
    const elsewhere = await others.webhooks.create({ url: receiver.url, description: "", events: [] });
    const before = await messages();
    const id = await createFineTune(server);
    expect(await messages()).toBe(before);
    await server.ask(`mutation { cancelFineTune(id: "${id}") { id } }`);
    const [first] = await receiver.until(1);
    expect(first?.message).toMatchObject({ type: "fine_tune.cancelled", data: { id, status: "CANCELLED" } });
    expect(await others.webhooks.deliveries(elsewhere.id, { limit: 9 })).toEqual([]);
    expect(await messages()).toBe(before + 1);
  });

  test("is not told if it is not made", async () => {
    await subscribe();
    const before = await messages();
    // Refused in the transaction, after the message was written: the trigger is the last word.
    await sql(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$`);
    await sql(`create constraint trigger refused after insert on datasets deferrable initially deferred
      for each row execute function refuse()`);
    const query = `mutation { createDataset(input: { name: "x", jsonl: "{\\"prompt\\":\\"a\\",\\"completion\\":\\"b\\"}" }) { id } }`;
    expect((await server.gql(query)).errors).toHaveLength(1);
    await sql("drop function refuse cascade");
    expect(await messages()).toBe(before);
  });
});

const otherId = "11111111-1111-4111-8111-111111111111";

async function messages(): Promise<number> {
  const [row] = await sql("select count(*)::int as n from webhook_messages");
  return Number(row?.["n"]);
}

describe("a receiver that fails", () => {
  test("gets the same message again after a pause, and the log says what it answered", async () => {
    const hook = await subscribe(["dataset.created"]);
    receiver.answer = (_request, response) => void response.writeHead(500).end("out of\u0000order");
    await createDataset(server);
    const [failed] = await settled(hook, ({ attempts }) => attempts[0]?.responseCode === 500);
    expect(failed).toMatchObject({ status: "PENDING" });
    expect(failed?.attempts[0]?.error).toBe("The answer was 500 (Internal Server Error): out of order");
    expect(Date.parse(failed?.nextAttemptAt ?? "") - Date.now()).toBeGreaterThan(1_000);
    expect((await hooks())[0]?.failingSince).not.toBeNull();
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    await skipPause();
    const [done] = await settled(hook, ({ status }) => status === "DELIVERED");
    expect(done?.attempts.map(({ responseCode }) => responseCode)).toEqual([500, 204]);
    expect(receiver.received.map(({ id }) => id)).toEqual([done?.webhookId, done?.webhookId]);
    expect((await hooks())[0]?.failingSince).toBeNull();
  });

  test("is disabled after three days of it, with the reason, goes on once it is enabled; other webhooks hear of it", async () => {
    const watcher = await startReceiver();
    const hook = await subscribe(["dataset.created"]);
    await subscribe(["webhook.disabled"], watcher);
    receiver.answer = (_request, response) => void response.writeHead(302, { location: watcher.url }).end();
    await createDataset(server);
    await settled(hook, ({ attempts }) => attempts[0]?.responseCode === 302);
    expect((await hooks())[0]?.enabled).toBe(true);
    const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
    expect(await metrics()).toMatch(/^steplog_webhook_deliveries_waiting 1$/mu);
    expect(await metrics()).toMatch(/^steplog_webhooks_disabled 0$/mu);
    await sql(
      "update webhook_endpoints set failing_since = now() - interval '73 hours' where failing_since is not null",
    );
    await skipPause();
    const [told] = await watcher.until(1);
    const reason = "All attempts of the last 3 days failed. The last one: The answer was 302 (Found)";
    expect(told?.message).toMatchObject({ type: "webhook.disabled", data: { id: hook.id, reason } });
    expect((await hooks())[0]).toMatchObject({ enabled: false, disabledReason: reason });
    await expect.poll(metrics).toMatch(/^steplog_webhook_deliveries_waiting 0$/mu);
    expect(await metrics()).toMatch(/^steplog_webhooks_disabled 1$/mu);
    await skipPause();
    receiver.answer = (_request, response) => void response.writeHead(200).end();
    const enable = `mutation { updateWebhook(id: "${hook.id}", input: { enabled: true }) { ${fields} } }`;
    expect(await server.ask(enable)).toMatchObject({ updateWebhook: { enabled: true, disabledReason: null } });
    await skipPause();
    const [done] = await settled(hook, ({ status }) => status === "DELIVERED");
    expect(done?.attempts).toHaveLength(3);
    // The redirect was not followed.
    expect(watcher.received).toHaveLength(1);
    await watcher.close();
  });

  test("is disabled at once by 410, and a delivery has failed after its last pause", async () => {
    const hook = await subscribe(["dataset.created"]);
    receiver.answer = (_request, response) => void response.writeHead(503).end();
    await createDataset(server);
    await settled(hook, ({ attempts }) => attempts[0]?.responseCode === 503);
    await sql("update webhook_deliveries set failures = 9 where status = 'PENDING'");
    await skipPause();
    await settled(hook, ({ status }) => status === "FAILED");
    receiver.answer = (_request, response) => void response.writeHead(410).end();
    await createDataset(server, "another");
    await until("the end", 15_000, async () => !((await hooks())[0]?.enabled ?? true));
    expect((await hooks())[0]?.disabledReason).toMatch(/410/u);
  });

  test("by silence or endless answers holds no attempt for long", async () => {
    const poster = posterOf(addressesOf(true), 300);
    const delivery = { id: "", number: 1, endpointId: "", messageId: "", type: "", payload: "{}", url: receiver.url };
    const post = () =>
      poster.post({ ...delivery, secrets: ["whsec_c2VjcmV0"], claimedAt: new Date() }, new AbortController().signal);
    receiver.answer = () => {};
    expect(await post()).toMatchObject({
      result: "FAILED",
      responseCode: null,
      error: "No answer within 0.3 seconds.",
    });
    receiver.answer = (_request, response) => void endless().pipe(response.writeHead(200));
    expect(await post()).toMatchObject({ result: "DELIVERED", responseCode: 200 });
    await receiver.close();
    expect(await post()).toMatchObject({ result: "FAILED", error: expect.stringMatching(/ECONNREFUSED/u) as unknown });
    await poster.close();
    receiver = await startReceiver();
  });
});

/** A body without an end. */
function endless(): Readable {
  return new Readable({
    read() {
      this.push(Buffer.alloc(65_536, "x"));
    },
  });
}

describe("by the API", () => {
  test("a new secret signs beside the old one for a day", async () => {
    const hook = await subscribe(["dataset.created"]);
    const old = receiver.secret;
    const { rotateWebhookSecret } = await server.ask<{ rotateWebhookSecret: { secret: string } }>(
      `mutation { rotateWebhookSecret(id: "${hook.id}") { secret } }`,
    );
    expect(rotateWebhookSecret.secret).toMatch(/^whsec_[\w+/]{43}=$/u);
    await createDataset(server);
    await receiver.until(1);
    receiver.secret = rotateWebhookSecret.secret;
    await createDataset(server);
    const [, second] = await receiver.until(2);
    expect(second?.signature.split(" ")).toHaveLength(2);
    await sql("update webhook_endpoints set previous_until = now() - interval '1 second'");
    await createDataset(server);
    const [, , third] = await receiver.until(3);
    expect(third?.signature.split(" ")).toHaveLength(1);
    expect(receiver.secret).not.toBe(old);
  });

  test("messages are sent again, one or all since a time, with their ids; a test goes to one webhook, in one attempt", async () => {
    const hook = await subscribe(["dataset.created"]);
    await createDataset(server, "first");
    await createDataset(server, "second");
    const [first] = await receiver.until(2);
    const replay = (given: string) =>
      server.ask<{ replayWebhook: number }>(`mutation { replayWebhook(id: "${hook.id}", ${given}) }`);
    expect(await replay(`webhookId: "${first?.id}"`)).toEqual({ replayWebhook: 1 });
    expect((await receiver.until(3))[2]).toMatchObject({ id: first?.id, body: first?.body });
    const later = await startReceiver();
    const other = await subscribe(undefined, later);
    const since = new Date(Date.parse(first?.message.timestamp ?? "") - 1_000).toISOString();
    const all = `mutation { replayWebhook(id: "${other.id}", since: "${since}") }`;
    const { replayWebhook } = await server.ask<{ replayWebhook: number }>(all);
    expect(replayWebhook).toBeGreaterThanOrEqual(2);
    expect((await later.until(replayWebhook)).map(({ id }) => id)).toContain(first?.id);
    expect(await server.ask(`mutation { testWebhook(id: "${hook.id}") { type status } }`)).toEqual({
      testWebhook: { type: "webhook.test", status: "PENDING" },
    });
    expect((await receiver.until(4))[3]?.message).toMatchObject({ type: "webhook.test", data: { id: hook.id } });
    expect(later.received).toHaveLength(replayWebhook);
    for (const [given, code] of [
      [`webhookId: "msg_${otherId}"`, "NOT_FOUND"],
      ['webhookId: "nonsense"', "NOT_FOUND"],
      ["", "INVALID_ARGUMENT"],
    ]) {
      const { errors } = await server.gql(`mutation { replayWebhook(id: "${hook.id}"${given ? `, ${given}` : ""}) }`);
      expect(errors?.[0]?.extensions.code).toBe(code);
    }
    await later.close();
  });

  test("what cannot be is refused by its field", async () => {
    const codeOf = async (input: object) => (await server.gql(createMutation, { input })).errors?.[0]?.extensions;
    const refused = (field: string) => ({ code: "INVALID_ARGUMENT", issues: [{ field }] });
    for (const url of ["ftp://example.com", "http://127.0.0.1:1", "http://[::1]/", "http://u:p@localhost", "nonsense"])
      expect(await codeOf({ url })).toMatchObject(refused("input.url"));
    const input = { url: receiver.url, events: ["fine_tune.finished"] };
    expect(await codeOf(input)).toMatchObject(refused("input.events"));
    await subscribe();
    for (let there = 1; there < 20; there++) await codeOf({ url: receiver.url });
    expect(await codeOf({ url: receiver.url })).toMatchObject({ code: "INVALID_STATE" });
  });

  test("nobody but an admin of the project has any of it", async () => {
    const hook = await subscribe(["dataset.created"]);
    const id = rowId(hook.id);
    const of = (projectId: string, ...scopes: Scope[]) =>
      server.store.of({ projectId, scopes: new Set(scopes), key: { id: otherId, name: "key" } }).webhooks;
    const refused: unknown = expect.objectContaining({ code: "FORBIDDEN" });
    const notFound: unknown = expect.objectContaining({ code: "NOT_FOUND" });
    const weak = of(defaultProjectId, "read", "write", "train", "infer");
    const input = { url: receiver.url, description: "", events: [] };
    await createDataset(server);
    const [delivery] = await settled(hook, ({ status }) => status === "DELIVERED");
    const deliveryId = rowId(delivery?.id ?? "");
    for (const call of [
      () => weak.create(input),
      () => weak.update(id, {}),
      () => weak.remove(id),
      () => weak.rotateSecret(id),
      () => weak.byIds([id]),
      () => weak.list(),
      () => weak.deliveries(id, { limit: 9 }),
      () => weak.deliveriesByIds([deliveryId]),
      () => weak.attempts(deliveryId),
      () => weak.replay(id, { since: new Date(0) }),
      () => weak.test(id),
    ])
      await expect(call()).rejects.toEqual(refused);
    const others = of(otherId, "admin");
    expect(await others.list()).not.toContainEqual(expect.objectContaining({ id }));
    expect(await others.byIds([id])).toEqual([null]);
    expect(await others.deliveries(id, { limit: 9 })).toEqual([]);
    expect(await others.deliveriesByIds([deliveryId])).toEqual([null]);
    expect(await others.attempts(deliveryId)).toEqual([]);
    expect(await others.remove(id)).toBe(false);
    for (const call of [
      () => others.update(id, {}),
      () => others.rotateSecret(id),
      () => others.replay(id, { since: new Date(0) }),
      () => others.test(id),
    ])
      await expect(call()).rejects.toEqual(notFound);
    expect(await of(defaultProjectId, "admin").deliveriesByIds([deliveryId])).toMatchObject([{ id: deliveryId }]);
  });
});

test("ids are those of the API, and types those of the statuses", () => {
  expect(globalIdOf("FineTune", otherId)).toBe(encodeGlobalID("FineTune", otherId));
  expect(webhookEvents).toContain("fine_tune.succeeded");
  expect(webhookEvents).toContain("evaluation.failed");
});
