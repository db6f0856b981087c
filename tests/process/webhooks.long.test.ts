/** kill -9 of a gateway while a webhook is being delivered: the other gateway delivers it, with the same id. */
import { expect, test } from "vitest";
import { testService, until } from "./service.ts";
import { startReceiver } from "../server/webhook-receiver.ts";
import { firstTry } from "../support/first-try.ts";
import { directly } from "../store/fixtures.ts";

test(
  "kill -9 of a gateway in mid-delivery: the message is delivered by another, once more and with the same id",
  { ...firstTry, timeout: 60_000 },
  async () => {
    const service = await testService();
    const databaseUrl = service.env["DATABASE_URL"] ?? "";
    const receiver = await startReceiver();
    const first = await service.startServer(0, { STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
    const ask = async <T>(url: string, query: string) => {
      const body = JSON.stringify({ query });
      const response = await fetch(`${url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      return ((await response.json()) as { data: T }).data;
    };
    const create = `mutation { createWebhook(input: { url: "${receiver.url}" }) { secret webhook { id } } }`;
    const made = await ask<{ createWebhook: { secret: string; webhook: { id: string } } }>(first.url, create);
    receiver.secret = made.createWebhook.secret;
    // It has read the message, and never answers.
    receiver.answer = () => {};
    await first.client.createDataset({ name: "rows", rows: [{ prompt: "a", completion: "b" }] });
    const [held] = await receiver.until(1);
    await first.running.kill("SIGKILL");

    receiver.answer = (_request, response) => void response.writeHead(200).end();
    const second = await service.startServer(0, { STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" });
    // Instead of waiting for 30 seconds.
    await directly(databaseUrl, (sql) => sql`update webhook_deliveries set next_attempt_at = now()`);
    const received = await receiver.until(2);
    expect(received[1]).toMatchObject({ id: held?.id, body: held?.body });
    const log = `{ webhook(id: "${made.createWebhook.webhook.id}") {
    deliveries { nodes { status webhookId attempts { number seconds responseCode } } } } }`;
    interface Log {
      readonly webhook: { readonly deliveries: { readonly nodes: readonly { readonly status: string }[] } };
    }
    const nodes = async () => (await ask<Log>(second.url, log)).webhook.deliveries.nodes;
    await until("the end", 10_000, async () => (await nodes())[0]?.status === "DELIVERED");
    expect(await nodes()).toMatchObject([
      { webhookId: held?.id, attempts: [{ seconds: null }, { number: 2, responseCode: 200 }] },
    ]);
    expect(receiver.received).toHaveLength(2);
    await second.running.kill("SIGTERM");
    await receiver.close();
  },
);
