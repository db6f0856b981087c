/** steplog alias list [--json] */
import type { Command } from "commander";
import { aliasesOf, pointsAt } from "../aliases.ts";
import { urlOption } from "../options.ts";
import { print } from "../output.ts";
import { type PageOptions, addPageOptions, pages, printPage } from "../pages.ts";
import { withService } from "../remote.ts";

interface Options extends PageOptions {
  readonly url: string;
  readonly json?: true;
}

export function define(command: Command): void {
  addPageOptions(command, "name")
    .description("List the aliases, and the models that they point at.")
    .addOption(urlOption())
    .option("--json", "print one JSON object: {aliases, next}")
    .addHelpText("after", "\nExample:\n  steplog alias list")
    .action(list);
}

async function list(options: Options): Promise<void> {
  await withService(options.url, async ({ client }) => {
    printPage(await pages(options, options.after ?? null, aliasesOf(client)), options, {
      noun: "aliases",
      nameOf: ({ name }) => name,
      none: "There are no aliases. Set one: steplog alias set NAME --model MODEL",
      printRows: (aliases) => aliases.forEach((alias) => print(`${alias.name} is ${pointsAt(alias)}.`)),
    });
  });
}
