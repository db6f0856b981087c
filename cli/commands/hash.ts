/** steplog hash FOLDER */
import type { Command } from "commander";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Print the base hash of a model folder, by which logs name their base.")
    .argument("<folder>", "a model in Hugging Face layout")
    .option("--json", "print {hash}")
    .addHelpText("after", "\nExample:\n  steplog hash models/opt-125m")
    .action(hash);
}

async function hash(folder: string, { json }: { readonly json?: true }): Promise<void> {
  const found = await baseHash(await openModelFolder(folder));
  if (json) printJson({ hash: found });
  else print(found);
}
