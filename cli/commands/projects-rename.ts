/** steplog projects rename NAME TO */
import type { Command } from "commander";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Give a project another name.")
    .argument("<name>", "the project")
    .argument("<to>", "its new name")
    .addOption(urlOption())
    .option("--json", "print the project as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog projects rename reviews film-reviews")
    .action(rename);
}

async function rename(
  name: string,
  to: string,
  { url, json }: { readonly url: string; readonly json?: true },
): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const id = await projectNamed(administrator, name);
    if (id !== null) await administrator.renameProject(id, to);
    if (json) printJson({ id, name: to });
    else print(`The project ${name} is now named ${to}.`);
  });
}
