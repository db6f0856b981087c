/** steplog alias set NAME --model MODEL */
import type { Command } from "commander";
import { aliasArgument, servedModelOption } from "../completion/names.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";
import { withService } from "../remote.ts";
import { modelOf } from "../short-ids.ts";
import { pointsAt } from "../aliases.ts";

interface SetOptions {
  readonly url: string;
  readonly model: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Point an alias at a model. Requests that name the alias go there from now on.")
    .addArgument(aliasArgument("the alias, new or known"))
    .addOption(servedModelOption("the name of a base model or of a run, or the id of a run or of a checkpoint"))
    .addOption(urlOption())
    .option("--json", "print the alias as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog alias set support --model Q2hlY2twb2ludDo...")
    .action(set);
}

async function set(name: string, { url, model, json }: SetOptions): Promise<void> {
  await withService(url, async ({ client }) => {
    const alias = await client.setAlias(name, { name: await modelOf(client, model) });
    if (json) printJson(alias);
    else print(`${name} is ${pointsAt(alias)}.`);
  });
}
