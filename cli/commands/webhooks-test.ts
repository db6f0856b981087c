/** steplog webhooks test WEBHOOK: sends it a message, and says what answered. */
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { SteplogClient } from "../../client/index.ts";
import { SteplogError } from "../../schema/errors.ts";
import { webhookArgument } from "../completion/names.ts";
import { exitCodes } from "../exit-codes.ts";
import { testWebhook, webhookDelivery, type WebhookDeliveryFragment } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { lastAttemptInWords, webhookOf } from "../webhooks.ts";

export function define(command: Command): void {
  command
    .description("Send a test to a webhook, even to a disabled one, in one attempt, and say what answered.")
    .addArgument(webhookArgument())
    .addOption(urlOption())
    .option("--json", "print the message, and what became of it, as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog webhooks test 4f2a91c0")
    .action(test);
}

async function test(given: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const sent = (await client.query(testWebhook, { id: await webhookOf(client, given) })).testWebhook;
    const delivery = await settled(client, sent);
    if (json) printJson(delivery);
    else print(`${words[delivery.status]}: ${lastAttemptInWords(delivery)}`);
    process.exitCode = delivery.status === "DELIVERED" ? exitCodes.done : exitCodes.runFailed;
  });
}

const words = { DELIVERED: "Received", FAILED: "Not received", PENDING: "Not tried yet" } as const;

const pollMs = 250;
/** An attempt takes ten seconds at most, and begins at once where a gateway is idle. */
const patienceMs = 30_000;

async function settled(client: SteplogClient, sent: WebhookDeliveryFragment): Promise<WebhookDeliveryFragment> {
  const until = performance.now() + patienceMs;
  let delivery = sent;
  while (delivery.status === "PENDING" && performance.now() < until) {
    await delay(pollMs);
    const { node } = await client.query(webhookDelivery, { id: sent.id });
    if (!node || !("webhookId" in node)) throw new SteplogError("NOT_FOUND", "The webhook is deleted.");
    delivery = node;
  }
  return delivery;
}
