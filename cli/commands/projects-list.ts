/** steplog projects list [--json] */
import type { Command } from "commander";
import { withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("List the projects.")
    .addOption(urlOption())
    .option("--json", "print the projects as one JSON list")
    .addHelpText("after", "\nExample:\n  steplog projects list")
    .action(list);
}

async function list({ url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const projects = await administrator.projects();
    if (json) printJson(projects);
    else for (const { name } of projects) print(name);
  });
}
