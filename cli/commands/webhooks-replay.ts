/** steplog webhooks replay WEBHOOK --message ID | --since TIME: sends messages again. */
import type { Command } from "commander";
import { Option } from "commander";
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { webhookArgument } from "../completion/names.ts";
import { replayWebhook } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { timeIn } from "../times.ts";
import { webhookOf } from "../webhooks.ts";

interface ReplayOptions {
  readonly url: string;
  readonly message?: string;
  readonly since?: Date;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Send messages to a webhook again, delivered or not: one, or all since a time that it would get today. They keep their " +
        "webhook-id, by which receivers drop what they have seen.",
    )
    .addArgument(webhookArgument())
    .option("--message <id>", "this one: msg_..., as steplog webhooks deliveries prints it")
    .addOption(
      new Option("--since <time>", "all since then, such as 2026-01-31 or 2026-01-31T12:00:00Z")
        .argParser(timeIn)
        .conflicts("message"),
    )
    .addOption(urlOption())
    .option("--json", "print {sent}")
    .addHelpText("after", "\nExample:\n  steplog webhooks replay 4f2a91c0 --since 2026-01-31T12:00:00Z")
    .action(replay);
}

async function replay(given: string, { url, message, since, json }: ReplayOptions): Promise<void> {
  if (message === undefined && since === undefined)
    throw new SteplogError("INVALID_ARGUMENT", "Say what to send again: --message ID or --since TIME.");
  await withService(url, async ({ client }) => {
    const which = message === undefined ? { since: since?.toISOString() ?? null } : { webhookId: message };
    const { replayWebhook: sent } = await client.query(replayWebhook, { id: await webhookOf(client, given), ...which });
    if (json) printJson({ sent });
    else print(`${counted(sent, "message")} will be sent again.`);
  });
}
