/** steplog projects erase NAME --confirm NAME */
import type { Command } from "commander";
import { projectNamed, withAdministrator } from "../administrator.ts";
import { urlOption } from "../options.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description(
      "Erase a project with everything that it has: runs that train are cancelled, its keys end, nothing of it remains but that " +
        "it was erased. If it is interrupted, run it again. Needs an operator: the scope admin of the default project.",
    )
    .argument("<name>", "the project")
    .requiredOption("--confirm <name>", "its name once more")
    .addOption(urlOption())
    .option("--json", "print one JSON object")
    .addHelpText("after", "\nExample:\n  steplog projects erase reviews --confirm reviews")
    .action(erase);
}

interface Options {
  readonly confirm: string;
  readonly url: string;
  readonly json?: true;
}

async function erase(name: string, { confirm, url, json }: Options): Promise<void> {
  await withAdministrator(url, async (administrator) => {
    const id = await projectNamed(administrator, name);
    const erased = await administrator.eraseProject(id ?? "", confirm);
    if (json) return printJson(erased);
    const { runs, datasets, evaluations, completions, files, filesWaiting } = erased;
    print(
      `The project ${name} is erased: ${runs} runs, ${datasets} datasets, ${evaluations} evaluations, ${completions} requests to ` +
        `models, ${files} files.`,
    );
    if (filesWaiting > 0)
      print(`${filesWaiting} files were stored just now; the sweep deletes them within a day or two.`);
  });
}
