/** steplog ls webhooks: who is told of changes in the project, the oldest first, and whether that works. */
import { listedWebhooks, type ListedWebhooksQuery } from "../operations.ts";
import { printTable } from "../output.ts";
import { type PageOptions, byShortId, cutFrom, pages, printPage } from "../pages.ts";
import type { Remote } from "../remote.ts";
import { timeInWords } from "../runs-in-words.ts";
import { partsOf, shortId } from "../short-ids.ts";

type Webhook = ListedWebhooksQuery["webhooks"][number];

export async function listWebhooks({ client }: Remote, options: PageOptions & { readonly json?: true }): Promise<void> {
  const { webhooks: all } = await client.query(listedWebhooks, {});
  const cursorOf = ({ id }: Webhook) => partsOf(id)?.uuid ?? id;
  const listed = await pages(options, options.after ?? null, async (page) => cutFrom(all, page, cursorOf));
  printPage(listed, options, {
    noun: "webhooks",
    nameOf: byShortId,
    none: "There are no webhooks. Make one: steplog webhooks create ADDRESS",
    printRows: (webhooks) => printTable(headings, webhooks.map(cellsOf), 1),
  });
}

const headings = ["ID", "URL", "STATE", "WAITING", "EVENTS", "CREATED"];

function cellsOf(webhook: Webhook): string[] {
  const { id, url, events, deliveries, createdAt } = webhook;
  const waiting = String(deliveries.totalCount);
  return [shortId(id), url, stateOf(webhook), waiting, events.join(", ") || "all", timeInWords(createdAt)];
}

function stateOf({ enabled, disabledReason, failingSince }: Webhook): string {
  if (!enabled) return disabledReason === null ? "disabled" : `disabled: ${disabledReason}`;
  return failingSince === null ? "enabled" : `fails since ${timeInWords(failingSince)}`;
}
