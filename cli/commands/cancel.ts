/** steplog cancel ID: asks a fine-tune to stop. */
import type { Command } from "commander";
import { runArgument } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";

export function define(command: Command): void {
  command
    .description("Ask a fine-tune to stop. A queued one ends at once, a running one after its current step.")
    .addArgument(runArgument("<id>"))
    .addOption(urlOption())
    .option("--json", "print the fine-tune as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog cancel 4f2a91c0")
    .action(cancel);
}

async function cancel(id: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const fineTune = await client.cancel(await runOf(client, id));
    if (json) printJson(fineTune);
    else if (fineTune.status === "CANCELLED") print(`Fine-tune ${fineTune.name} is cancelled.`);
    else print(`Fine-tune ${fineTune.name} stops after its current step. Its steps so far and their log are kept.`);
  });
}
