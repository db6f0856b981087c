/** steplog alias remove NAME */
import type { Command } from "commander";
import { noSuchAlias } from "../aliases.ts";
import { aliasArgument } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description("Remove an alias. What it points at stays.")
    .addArgument(aliasArgument())
    .addOption(urlOption())
    .option("--json", "print {removed}")
    .addHelpText("after", "\nExample:\n  steplog alias remove support")
    .action(remove);
}

async function remove(name: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    if (!(await client.removeAlias(name))) throw await noSuchAlias(client, name);
    if (json) printJson({ removed: name });
    else print(`Removed the alias ${name}.`);
  });
}
