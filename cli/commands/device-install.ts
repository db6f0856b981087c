/** steplog device install tfjs-cpu | tfjs-gpu [--source SOURCE] */
import { resolve } from "node:path";
import { Argument, Option } from "commander";
import type { Command } from "commander";
import type { InstalledDevice } from "../../devices/install.ts";
import { installDevice } from "../../devices/install.ts";
import type { SourceName } from "../../devices/sources.ts";
import { sourceNames } from "../../devices/sources.ts";
import type { InstallableName } from "../../engine/devices/tensorflow/packages.ts";
import { installableNames } from "../../engine/devices/tensorflow/packages.ts";
import { formatBytes, formatDuration } from "../../schema/units.ts";
import { devicesFolder } from "../config.ts";
import { readVariable } from "../environment.ts";
import { exitCodes } from "../exit-codes.ts";
import { print, printJson } from "../output.ts";
import { stopSignal } from "../process.ts";

interface DeviceInstallOptions {
  source?: SourceName;
  library?: string;
  wheel?: string;
  pipArgs: string;
  force?: true;
  json?: true;
}

export function define(command: Command): void {
  command
    .description(
      "Install TensorFlow for the device tfjs-tensorflow into a folder of its own (STEPLOG_DEVICES), with\n" +
        "@tensorflow/tfjs-node, or @tensorflow/tfjs-node-gpu for NVIDIA GPUs, and its addon.",
    )
    .addArgument(new Argument("<name>", "what to install").choices(installableNames))
    .addOption(
      new Option("--source <source>", "where TensorFlow's library comes from; each in turn by default").choices(
        sourceNames,
      ),
    )
    .option("--library <folder>", "with --source library: a libtensorflow with headers; the default is TENSORFLOW_LIB")
    .option("--wheel <requirement>", "what pip installs instead of the newest TensorFlow, such as tensorflow==2.17.0")
    .option("--pip-args <arguments>", "further arguments of pip, separated by spaces", "")
    .option("--force", "replace a device that is installed")
    .option("--json", "print one JSON object at the end")
    .addHelpText(
      "after",
      "\nExamples:\n  steplog device install tfjs-gpu\n  steplog device install tfjs-cpu --source wheel\n\n" +
        "The sources are a library on this machine, a wheel of TensorFlow by pip, and the package's own host.\n" +
        "npm and pip read their own configuration. A build needs g++, make and python3.",
    )
    .action(deviceInstall);
}

async function deviceInstall(name: InstallableName, options: DeviceInstallOptions): Promise<void> {
  const signal = stopSignal();
  const started = performance.now();
  const library = options.library ?? readVariable("TENSORFLOW_LIB");
  const request = {
    name,
    devicesDir: devicesFolder(),
    source: options.source ?? null,
    libraryDir: library === undefined ? null : resolve(library),
    wheel: options.wheel ?? null,
    pipArgs: options.pipArgs.split(/\s+/u).filter((word) => word !== ""),
    replace: options.force ?? false,
    env: process.env,
    signal,
    onStep: (text: string) => process.stderr.write(`${text} ...\n`),
  };
  try {
    const installed = await installDevice(request);
    if (options.json) printJson(installed);
    else inWords(installed, (performance.now() - started) / 1000).forEach(print);
  } catch (error) {
    if (!signal.aborted) throw error;
    process.stderr.write("Interrupted: nothing was installed.\n");
    process.exitCode = exitCodes.interrupted;
  }
}

/** The report for people, one line each. */
export function inWords(installed: InstalledDevice, seconds: number): string[] {
  const { name, description, library, folder, bytes, precisions, remarks, onGpu } = installed;
  const saysOfGpu = name === "tfjs-gpu" ? remarks.map((remark) => `TensorFlow says: ${remark}`) : [];
  return [
    `Installed ${name} in ${formatDuration(seconds)}: ${description}.`,
    `library   ${library}`,
    `folder    ${folder}, ${formatBytes(bytes)}`,
    `computes  products in ${precisions.join(" and ")}; noise, update and losses agree with the plain device`,
    ...saysOfGpu,
    ...(name === "tfjs-gpu" && !onGpu ? withoutGpu : [`A worker uses it with STEPLOG_DEVICE=${name}.`]),
  ];
}

const withoutGpu = [
  "TensorFlow found no GPU here. Until it does, a worker with STEPLOG_DEVICE=tfjs-gpu fails at once, and one with",
  "STEPLOG_DEVICE=tfjs-tensorflow computes on the processor.",
];
