/** steplog keys revoke KEY */
import type { Command } from "commander";
import { keyNamed, projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("End an API key at once, with whatever is open under it.")
    .argument("<key>", "the key: how it begins, or its name")
    .option("--project <name>", "the project that it belongs to; the default one if left out")
    .addOption(urlOption())
    .option("--json", "print the key as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog keys revoke steplog_Ab12Cd")
    .action(revoke);
}

async function revoke(
  key: string,
  { project, url, json }: { readonly project?: string; readonly url: string; readonly json?: true },
): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const { id, name, start } = await keyNamed(administrator, key, await projectNamed(administrator, project));
    await administrator.revokeKey(id);
    if (json) printJson({ id, name, start });
    else print(`The key ${name} (${start}...) has ended.`);
  });
}
