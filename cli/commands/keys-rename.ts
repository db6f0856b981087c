/** steplog keys rename KEY NAME */
import type { Command } from "commander";
import { keyNamed, projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Give an API key another name.")
    .argument("<key>", "the key: how it begins, or its name")
    .argument("<name>", "its new name")
    .option("--project <name>", "the project that it belongs to; the default one if left out")
    .addOption(urlOption())
    .option("--json", "print the key as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog keys rename steplog_Ab12Cd nightly")
    .action(rename);
}

async function rename(
  key: string,
  to: string,
  { project, url, json }: { readonly project?: string; readonly url: string; readonly json?: true },
): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const { id, name, start } = await keyNamed(administrator, key, await projectNamed(administrator, project));
    await administrator.renameKey(id, to);
    if (json) printJson({ id, name: to, start });
    else print(`The key ${name} (${start}...) is now named ${to}.`);
  });
}
