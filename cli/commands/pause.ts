/** steplog pause ID: stops a fine-tune until it is resumed. */
import type { Command } from "commander";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description(
      "Stop a fine-tune until it is resumed. A queued one pauses at once, a running one after its current step.",
    )
    .argument("<id>", "the id of the fine-tune")
    .addOption(urlOption())
    .option("--json", "print the fine-tune as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog pause RmluZVR1bmU6...")
    .action(pause);
}

async function pause(id: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const fineTune = await client.pause(id);
    if (json) printJson(fineTune);
    else if (fineTune.status === "PAUSED") print(`Fine-tune ${fineTune.name} is paused.`);
    else print(`Fine-tune ${fineTune.name} pauses after its current step.`);
  });
}
