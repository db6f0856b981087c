/** steplog webhooks create ADDRESS [--description TEXT] [--event TYPE...] */
import type { Command } from "commander";
import { createWebhook } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { shortId } from "../short-ids.ts";
import { eventOption, eventsInWords } from "../webhooks.ts";

interface CreateOptions {
  readonly url: string;
  readonly description?: string;
  readonly event?: readonly string[];
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Have changes in a project told to an address, and print the secret by which messages are signed: nobody can read it again.",
    )
    .argument("<address>", "where messages are sent: https://... or http://...")
    .option("--description <text>", "what it is for")
    .addOption(eventOption())
    .addOption(urlOption())
    .option("--json", "print one JSON object: {secret, webhook}")
    .addHelpText(
      "after",
      "\nExample:\n  steplog webhooks create https://example.com/hooks --event fine_tune.succeeded fine_tune.failed",
    )
    .action(create);
}

async function create(address: string, { url, description, event, json }: CreateOptions): Promise<void> {
  await withService(url, async ({ client }) => {
    const input = { url: address, ...(description !== undefined && { description }), ...(event && { events: event }) };
    const made = (await client.query(createWebhook, { input })).createWebhook;
    if (json) return printJson(made);
    const { webhook, secret } = made;
    print(secret);
    process.stderr.write(
      `The webhook ${shortId(webhook.id)} tells ${webhook.url} of ${eventsInWords(webhook.events)}. ` +
        "Keep its secret now: it is not shown again.\n",
    );
  });
}
