/** steplog alias list [--json] */
import type { Command } from "commander";
import type { Alias, SteplogClient } from "../../client/index.ts";
import { pointsAt } from "../aliases.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description("List the aliases, and the models that they point at.")
    .addOption(urlOption())
    .option("--json", "print the aliases as one JSON list")
    .addHelpText("after", "\nExample:\n  steplog alias list")
    .action(list);
}

async function list({ url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const aliases = await allAliases(client);
    if (json) printJson(aliases);
    else if (aliases.length === 0) print("There are no aliases. Set one: steplog alias set NAME --model MODEL");
    else for (const alias of aliases) print(`${alias.name} is ${pointsAt(alias)}.`);
  });
}

async function allAliases(client: SteplogClient): Promise<Alias[]> {
  const all: Alias[] = [];
  for (;;) {
    const last = all.at(-1);
    const page = await client.aliases(last ? { after: last.name } : {});
    if (page.length === 0) return all;
    all.push(...page);
  }
}
