/** steplog webhooks deliveries WEBHOOK: what was sent to it, the newest first, and what became of it. */
import type { Command } from "commander";
import { Option } from "commander";
import type { WebhookDeliveryStatus } from "../../client/schema-types.ts";
import { SteplogError } from "../../schema/errors.ts";
import { deliveryStatuses } from "../../schema/webhooks.ts";
import { webhookArgument } from "../completion/names.ts";
import { webhookDeliveries } from "../operations.ts";
import { urlOption } from "../options.ts";
import { printTable } from "../output.ts";
import { type PageOptions, type Paging, addPageOptions, pages, printPage } from "../pages.ts";
import { withService } from "../remote.ts";
import { timeInWords } from "../runs-in-words.ts";
import { partsOf } from "../short-ids.ts";
import { lastAttemptInWords, webhookOf } from "../webhooks.ts";

interface ListOptions extends PageOptions {
  readonly url: string;
  readonly status?: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "cursor")
    .description(
      "List what was sent to a webhook, the newest first, and what became of it. Messages are kept for 30 days.",
    )
    .addArgument(webhookArgument())
    .addOption(
      new Option("--status <status>", "only such ones").choices(deliveryStatuses.map((one) => one.toLowerCase())),
    )
    .addOption(urlOption())
    .option("--json", "print one JSON object: {deliveries, totalCount, next}")
    .addHelpText("after", "\nExample:\n  steplog webhooks deliveries 4f2a91c0 --status failed")
    .action(list);
}

async function list(given: string, { url, status, ...options }: ListOptions): Promise<void> {
  await withService(url, async ({ client }) => {
    const id = await webhookOf(client, given);
    const asked = { id, status: (status?.toUpperCase() as WebhookDeliveryStatus | undefined) ?? null };
    const read = async (page: Paging) => {
      const { webhook } = await client.query(webhookDeliveries, { ...asked, ...page });
      if (!webhook) throw new SteplogError("NOT_FOUND", "The webhook is deleted.");
      return webhook.deliveries;
    };
    printPage(await pages(options, options.after ?? null, read), options, {
      noun: "deliveries",
      nameOf: (one) => partsOf(one.id)?.uuid ?? one.id,
      none: "Nothing of the kind was sent. Send a test: steplog webhooks test WEBHOOK",
      printRows(deliveries) {
        const cells = deliveries.map((one) => [
          one.webhookId,
          one.type,
          one.status,
          String(one.attempts.length),
          timeInWords(one.createdAt),
          timeInWords(one.nextAttemptAt),
          lastAttemptInWords(one),
        ]);
        printTable(["MESSAGE", "TYPE", "STATUS", "ATTEMPTS", "MADE", "NEXT", "LAST ATTEMPT"], cells, 6);
      },
    });
  });
}
