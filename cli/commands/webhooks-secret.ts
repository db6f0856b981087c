/** steplog webhooks secret WEBHOOK: gives it a new secret, and prints it. */
import type { Command } from "commander";
import { webhookArgument } from "../completion/names.ts";
import { rotateWebhookSecret } from "../operations.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { webhookOf } from "../webhooks.ts";

export function define(command: Command): void {
  command
    .description(
      "Give a webhook a new secret, and print it: nobody can read it again. For 24 hours messages are signed with the old one too.",
    )
    .addArgument(webhookArgument())
    .addOption(urlOption())
    .option("--json", "print one JSON object: {secret, webhook}")
    .addHelpText("after", "\nExample:\n  steplog webhooks secret 4f2a91c0")
    .action(renew);
}

async function renew(given: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const id = await webhookOf(client, given);
    const renewed = (await client.query(rotateWebhookSecret, { id })).rotateWebhookSecret;
    if (json) return printJson(renewed);
    print(renewed.secret);
    process.stderr.write(
      "Keep it now: it is not shown again. For 24 hours messages are signed with the old one too.\n",
    );
  });
}
