/** steplog alias remove NAME */
import type { Command } from "commander";
import { SteplogError } from "../../schema/errors.ts";
import { urlOption } from "../options.ts";
import { print } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description("Remove an alias. What it points at stays.")
    .argument("<name>", "the alias")
    .addOption(urlOption())
    .addHelpText("after", "\nExample:\n  steplog alias remove support")
    .action(remove);
}

async function remove(name: string, { url }: { readonly url: string }): Promise<void> {
  await withService(url, async ({ client }) => {
    if (!(await client.removeAlias(name))) throw new SteplogError("NOT_FOUND", `There is no alias ${name}.`);
    print(`Removed the alias ${name}.`);
  });
}
