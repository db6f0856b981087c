/** steplog keys rotate KEY [--overlap SECONDS] */
import type { Command } from "commander";
import { keyNamed, projectNamed, withAdministrator } from "../administrator.ts";
import { integer, urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Make a key in the place of another, with its name, scopes and time to live, and print it.")
    .argument("<key>", "the key to replace: how it begins, or its name")
    .option("--project <name>", "the project that it belongs to; the default one if left out")
    .option("--overlap <seconds>", "how long both are valid", integer(0, 2_592_000), 0)
    .addOption(urlOption())
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  steplog keys rotate steplog_Ab12Cd --overlap 3600")
    .action(rotate);
}

interface Options {
  readonly project?: string;
  readonly overlap: number;
  readonly url: string;
  readonly json?: true;
}

async function rotate(key: string, { project, overlap, url, json }: Options): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const { id } = await keyNamed(administrator, key, await projectNamed(administrator, project));
    const made = await administrator.rotateKey(id, overlap);
    if (json) return printJson(made);
    print(made.key);
    process.stderr.write("Keep it now: it is not shown again.\n");
  });
}
