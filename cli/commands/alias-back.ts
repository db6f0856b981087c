/** steplog alias back NAME */
import type { Command } from "commander";
import { pointsAt } from "../aliases.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description("Point an alias to where it pointed before it was last set.")
    .argument("<name>", "the alias")
    .addOption(urlOption())
    .option("--json", "print the alias as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog alias back support")
    .action(back);
}

async function back(name: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const alias = await client.rollBackAlias(name);
    if (json) printJson(alias);
    else print(`${name} is ${pointsAt(alias)} again.`);
  });
}
