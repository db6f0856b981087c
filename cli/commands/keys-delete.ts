/** steplog keys delete KEY */
import type { Command } from "commander";
import { keyNamed, projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Delete what is left of an API key that has ended. The audit log keeps its name.")
    .argument("<key>", "the key: how it begins, or its name")
    .option("--project <name>", "the project that it belongs to; the default one if left out")
    .addOption(urlOption())
    .option("--json", "print the key as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog keys revoke steplog_Ab12Cd && steplog keys delete steplog_Ab12Cd")
    .action(remove);
}

async function remove(
  key: string,
  { project, url, json }: { readonly project?: string; readonly url: string; readonly json?: true },
): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const projectId = await projectNamed(administrator, project);
    const { id, name, start } = await keyNamed(administrator, key, projectId, { ended: true });
    await administrator.deleteKey(id);
    if (json) printJson({ id, name, start });
    else print(`The key ${name} (${start}...) is deleted.`);
  });
}
