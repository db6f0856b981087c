/** steplog projects list [--json] */
import type { Command } from "commander";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print } from "../output.ts";
import { type PageOptions, addPageOptions, afterOf, pages, printPage } from "../pages.ts";

interface Options extends PageOptions {
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "name")
    .description("List the projects.")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {projects, totalCount, next}")
    .addHelpText("after", "\nExample:\n  steplog projects list")
    .action(list);
}

async function list(options: Options): Promise<void> {
  await withAdministrator(options.url, async (administrator) => {
    const after = await afterOf(options, async (given) => (await projectNamed(administrator, given)) ?? given);
    printPage(await pages(options, after, (page) => administrator.projects(page)), options, {
      noun: "projects",
      nameOf: ({ name }) => name,
      none: "There are no projects. Make one: steplog projects create NAME",
      printRows: (projects) => projects.forEach(({ name }) => print(name)),
    });
  });
}
