/** steplog hash FOLDER */
import type { Command } from "commander";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { print } from "../output.ts";

export function define(command: Command): void {
  command
    .argument("<folder>", "a model in Hugging Face layout")
    .addHelpText("after", "\nExample:\n  steplog hash models/opt-125m")
    .action(hash);
}

async function hash(folder: string): Promise<void> {
  print(await baseHash(await openModelFolder(folder)));
}
