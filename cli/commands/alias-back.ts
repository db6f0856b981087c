/** steplog alias back NAME */
import type { Command } from "commander";
import { asSteplogError } from "../../schema/errors.ts";
import { noSuchAlias, pointsAt } from "../aliases.ts";
import { aliasArgument } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";

export function define(command: Command): void {
  command
    .description("Point an alias to where it pointed before it was last set.")
    .addArgument(aliasArgument())
    .addOption(urlOption())
    .option("--json", "print the alias as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog alias back support")
    .action(back);
}

async function back(name: string, { url, json }: { readonly url: string; readonly json?: true }): Promise<void> {
  await withService(url, async ({ client }) => {
    const alias = await client.rollBackAlias(name).catch(async (error: unknown) => {
      throw asSteplogError(error).code === "NOT_FOUND" ? await noSuchAlias(client, name) : error;
    });
    if (json) printJson(alias);
    else print(`${name} is ${pointsAt(alias)} again.`);
  });
}
