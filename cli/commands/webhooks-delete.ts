/** steplog webhooks delete WEBHOOK [--yes] */
import type { Command } from "commander";
import { agreed } from "../agreed.ts";
import { webhookArgument } from "../completion/names.ts";
import { deleteWebhook } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { shortId } from "../short-ids.ts";
import { webhookOf } from "../webhooks.ts";

interface DeleteOptions {
  readonly url: string;
  readonly yes?: true;
  readonly json?: boolean;
}

export function define(command: Command): void {
  command
    .description(
      "Delete a webhook, what waits for it, and its log. `steplog webhooks change --disable` stops one for a while.",
    )
    .addArgument(webhookArgument())
    .option("--yes", "do not ask")
    .addOption(urlOption())
    .option("--json", "print {deleted}; needs --yes")
    .addHelpText("after", "\nExample:\n  steplog webhooks delete 4f2a91c0")
    .action(remove);
}

async function remove(given: string, { url, yes, json = false }: DeleteOptions): Promise<void> {
  await withService(url, async ({ client }) => {
    const id = await webhookOf(client, given);
    const question = `Delete the webhook ${shortId(id)}, with what waits for it and its log of messages?`;
    if (!yes && !(await agreed(question, json))) return print("Nothing was deleted.");
    const deleted = (await client.query(deleteWebhook, { id })).deleteWebhook;
    if (json) printJson({ deleted });
    else print(`The webhook ${shortId(id)} ${deleted ? "is deleted" : "was deleted already"}.`);
  });
}
