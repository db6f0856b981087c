/** steplog projects create NAME */
import type { Command } from "commander";
import { withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Create a project: runs, datasets, checkpoints and answers belong to one.")
    .argument("<name>", "its name")
    .addOption(urlOption())
    .option("--json", "print the project as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog projects create reviews")
    .action(create);
}

async function create(name: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const project = await administrator.createProject(name);
    if (json) return printJson(project);
    print(
      `The project ${project.name} is there. Make a key: steplog keys create --project ${project.name} --name NAME --scopes read,train`,
    );
  });
}
