/** steplog resume ID: continues a paused fine-tune. */
import type { Command } from "commander";
import { runArgument } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { runOf } from "../short-ids.ts";

export function define(command: Command): void {
  command
    .description("Queue a paused fine-tune again. It goes on after its last step, as if it had never paused.")
    .addArgument(runArgument("<id>"))
    .addOption(urlOption())
    .option("--json", "print the fine-tune as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog resume 4f2a91c0")
    .action(resume);
}

async function resume(id: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const fineTune = await client.resume(await runOf(client, id));
    if (json) printJson(fineTune);
    else print(`Fine-tune ${fineTune.name} is ${fineTune.status === "QUEUED" ? "queued again" : "running"}.`);
  });
}
