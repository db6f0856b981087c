/** steplog webhooks change WEBHOOK [--address URL] [--description TEXT] [--event TYPE... | --all-events] [--enable | --disable] */
import type { Command } from "commander";
import { Option } from "commander";
import type { UpdateWebhookInput } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { webhookArgument } from "../completion/names.ts";
import { changeWebhook } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { shortId } from "../short-ids.ts";
import { eventOption, eventsInWords, webhookOf } from "../webhooks.ts";

interface ChangeOptions {
  readonly url: string;
  readonly address?: string;
  readonly description?: string;
  readonly event?: readonly string[];
  readonly allEvents?: true;
  readonly enable?: true;
  readonly disable?: true;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Change a webhook: where it sends, what it is told, and whether it is told at all. What is not named stays.",
    )
    .addArgument(webhookArgument())
    .option("--address <url>", "where messages are sent from now on")
    .option("--description <text>", "what it is for")
    .addOption(eventOption())
    .addOption(new Option("--all-events", "messages of all types").conflicts("event"))
    .option("--enable", "send messages, also those that wait")
    .addOption(new Option("--disable", "make and send no messages").conflicts("enable"))
    .addOption(urlOption())
    .option("--json", "print the webhook as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog webhooks change 4f2a91c0 --event fine_tune.failed --enable")
    .action(change);
}

async function change(given: string, { url, json, ...options }: ChangeOptions): Promise<void> {
  const input = inputOf(options);
  await withService(url, async ({ client }) => {
    const webhook = (await client.query(changeWebhook, { id: await webhookOf(client, given), input })).updateWebhook;
    if (json) return printJson(webhook);
    const state = webhook.enabled ? "" : " It is disabled.";
    print(`The webhook ${shortId(webhook.id)} tells ${webhook.url} of ${eventsInWords(webhook.events)}.${state}`);
  });
}

/** @throws INVALID_ARGUMENT when nothing is to change */
function inputOf({
  address,
  description,
  event,
  allEvents,
  enable,
  disable,
}: Omit<ChangeOptions, "url" | "json">): UpdateWebhookInput {
  const input = {
    ...(address !== undefined && { url: address }),
    ...(description !== undefined && { description }),
    ...(event && { events: event }),
    ...(allEvents && { events: [] }),
    ...((enable ?? disable) && { enabled: enable ?? false }),
  };
  if (Object.keys(input).length > 0) return input;
  const message = "Say what to change: --address, --description, --event, --all-events, --enable or --disable.";
  throw new SteplogError("INVALID_ARGUMENT", message);
}
