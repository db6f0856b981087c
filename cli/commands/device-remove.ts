/** steplog device remove tfjs-cpu | tfjs-gpu */
import { Argument } from "commander";
import type { Command } from "commander";
import { removeDevice } from "../../devices/remove.ts";
import type { InstallableName } from "../../engine/devices/tensorflow/packages.ts";
import { installableNames } from "../../engine/devices/tensorflow/packages.ts";
import { devicesFolder } from "../config.ts";
import { print, printJson } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Delete what steplog device install made.")
    .addArgument(new Argument("<name>", "what to delete").choices(installableNames))
    .option("--json", "print {removed}")
    .addHelpText("after", "\nExample:\n  steplog device remove tfjs-cpu")
    .action(async (name: InstallableName, { json }: { readonly json?: true }) => {
      await removeDevice(devicesFolder(), name);
      if (json) printJson({ removed: name });
      else print(`Removed ${name}.`);
    });
}
