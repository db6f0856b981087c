/** steplog pause ID: stops a fine-tune until it is resumed. */
import type { Command } from "commander";
import { runArgument } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";

export function define(command: Command): void {
  command
    .description(
      "Stop a fine-tune until it is resumed. A queued one pauses at once, a running one after its current step.",
    )
    .addArgument(runArgument("<id>"))
    .addOption(urlOption())
    .option("--json", "print the fine-tune as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog pause 4f2a91c0")
    .action(pause);
}

async function pause(id: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const fineTune = await client.pause(await runOf(client, id));
    if (json) printJson(fineTune);
    else if (fineTune.status === "PAUSED") print(`Fine-tune ${fineTune.name} is paused.`);
    else print(`Fine-tune ${fineTune.name} pauses after its current step.`);
  });
}
