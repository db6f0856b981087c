/** steplog webhooks ls: who is told of changes in the project, and whether that works. */
import type { Command } from "commander";
import { listWebhooks } from "../lists/webhooks.ts";
import { urlOption } from "../options.ts";
import { type PageOptions, addPageOptions } from "../pages.ts";
import { withService } from "../remote.ts";

interface ListOptions extends PageOptions {
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "id")
    .description(
      "List the webhooks of a project, the oldest first. Needs a key with the scope admin, as all of them do.",
    )
    .addOption(urlOption())
    .option("--json", "print one JSON object: {webhooks, totalCount, next}")
    .addHelpText("after", "\nExample:\n  steplog webhooks ls")
    .action(list);
}

async function list({ url, ...options }: ListOptions): Promise<void> {
  await withService(url, (service) => listWebhooks(service, options));
}
