/** steplog device list [--json] */
import { availableParallelism, devNull } from "node:os";
import type { Command } from "commander";
import type { Installed } from "../../devices/folders.ts";
import { listInstalled } from "../../devices/folders.ts";
import type { Answer } from "../../devices/trial.ts";
import { tryInProcess } from "../../devices/trial.ts";
import { singleDevices } from "../../engine/devices/choose.ts";
import { formatBytes } from "../../schema/units.ts";
import { devicesFolder } from "../config.ts";
import { print, printJson, printTable } from "../output.ts";
import { stopSignal } from "../process.ts";

type Listed = { readonly name: string } & Answer;

export function define(command: Command): void {
  command
    .description("Try every device of this machine in a process of its own, and show what is installed.")
    .option("--json", "print {devicesDir, devices, installed}")
    .addHelpText("after", "\nExample:\n  steplog device list")
    .action(deviceList);
}

async function deviceList(options: { json?: true }): Promise<void> {
  const devicesDir = devicesFolder();
  const surroundings = { env: process.env, log: devNull, signal: stopSignal() };
  const installed = await listInstalled(devicesDir);
  const names = namesToTry(installed.map(({ name }) => name));
  const devices: Listed[] = [];
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const { remarks: _, ...answer } = await tryInProcess({ device: name, devicesDir }, surroundings);
      devices.push({ name, ...answer });
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));
  devices.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
  if (options.json) printJson({ devicesDir, devices, installed });
  else report(devicesDir, devices, installed);
}

/** What is installed is one of the TensorFlows of tfjs-tensorflow, and opens, or does not, by its own name, too. */
function namesToTry(installed: readonly string[]): string[] {
  return singleDevices.flatMap((name) => (name === "tfjs-tensorflow" ? [name, ...installed] : [name]));
}

function report(devicesDir: string, devices: readonly Listed[], installed: readonly Installed[]): void {
  const rows = devices.map((device) =>
    device.opens
      ? [device.name, "yes", `${device.description}; products in ${device.precisions.join(", ")}`]
      : [device.name, "no", device.why],
  );
  printTable(["DEVICE", "OPENS", "WHAT IT IS, OR WHY IT DOES NOT OPEN"], rows);
  print("");
  if (installed.length === 0) {
    print(`Nothing is installed in ${devicesDir}. For TensorFlow: steplog device install tfjs-gpu, or tfjs-cpu`);
    return;
  }
  const installedRows = installed.map(({ name, receipt, bytes, folder }) => [
    name,
    receipt?.description ?? "not complete; install it anew with --force",
    receipt?.library ?? "-",
    formatBytes(bytes),
    folder,
  ]);
  printTable(["INSTALLED", "WHAT IT IS", "LIBRARY", "SIZE", "FOLDER"], installedRows);
}
