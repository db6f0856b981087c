/** steplog device remove tfjs-cpu | tfjs-gpu */
import { Argument } from "commander";
import type { Command } from "commander";
import { removeDevice } from "../../devices/remove.ts";
import type { InstallableName } from "../../engine/devices/tensorflow/packages.ts";
import { installableNames } from "../../engine/devices/tensorflow/packages.ts";
import { devicesFolder } from "../config.ts";
import { print } from "../output.ts";

export function define(command: Command): void {
  command
    .description("Delete what steplog device install made.")
    .addArgument(new Argument("<name>", "what to delete").choices(installableNames))
    .addHelpText("after", "\nExample:\n  steplog device remove tfjs-cpu")
    .action(async (name: InstallableName) => {
      await removeDevice(devicesFolder(), name);
      print(`Removed ${name}.`);
    });
}
