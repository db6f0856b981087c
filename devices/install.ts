/**
 * Installs a device: the npm package and a TensorFlow library, in a folder of its own. The folder is built under a temporary
 * name, tried in a fresh process, and renamed once it works, so a device is there completely or not at all. The next install
 * deletes what a killed one left. Sources of the library are tried in turn.
 */
import { copyFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import { installable, installedFolder } from "../engine/devices/tensorflow/packages.ts";
import { partialFolder } from "../engine/model/files/partial.ts";
import { withLock } from "../engine/model/files/lock.ts";
import { SteplogError, asDiskError } from "../schema/errors.ts";
import { buildAddon, installPackage, needTools, packageVersion, runInstaller } from "./addon.ts";
import { StepFailure, noRoomAdvice } from "./failures.ts";
import type { Receipt } from "./folders.ts";
import { listInstalled, writeReceipt } from "./folders.ts";
import type { SourceOptions } from "./source-options.ts";
import { keepLibrary } from "./source-wheel.ts";
import type { SourceName } from "./sources.ts";
import { libraryOf, sourceNames } from "./sources.ts";
import { tryInProcess } from "./trial.ts";

export interface InstallRequest {
  readonly name: InstallableName;
  readonly devicesDir: string;
  /** The only source of the library; null for each in turn. */
  readonly source: SourceName | null;
  readonly libraryDir: string | null;
  readonly wheel: string | null;
  readonly pipArgs: readonly string[];
  /** Replaces a device that is installed. */
  readonly replace: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Called when a step begins. */
  readonly onStep: (text: string) => void;
}

export interface InstalledDevice extends Receipt {
  readonly name: InstallableName;
  readonly folder: string;
  readonly bytes: number;
  /** In which the worker then takes runs. */
  readonly precisions: readonly string[];
  /** Whether TensorFlow found a GPU here. Without one STEPLOG_DEVICE=tfjs-gpu is refused, until there is one. */
  readonly onGpu: boolean;
  /** What TensorFlow said about a GPU. */
  readonly remarks: readonly string[];
}

/**
 * @throws SteplogError CONFLICT when it is installed, or another process is installing it; UNAVAILABLE for a disk that cannot
 *   be used; DEVICE_UNAVAILABLE with an issue for each source: the step that failed, why, and what to do
 */
export async function installDevice(request: InstallRequest): Promise<InstalledDevice> {
  const { name, devicesDir, replace } = request;
  try {
    await mkdir(devicesDir, { recursive: true });
    return await withLock(lockOf(devicesDir, name), `installing or removing ${name}`, async () => {
      if (!replace) await refuseInstalled(devicesDir, name);
      return await makeAndPublish(request);
    });
  } catch (error) {
    throw asDiskError(error, `The folder of devices ${devicesDir}`);
  }
}

export function lockOf(devicesDir: string, name: InstallableName): string {
  return join(devicesDir, `.${name}.lock`);
}

async function refuseInstalled(devicesDir: string, name: InstallableName): Promise<void> {
  const found = (await listInstalled(devicesDir)).find((device) => device.name === name);
  if (!found) return;
  const what = found.receipt === null ? "in a folder that steplog did not complete" : found.receipt.description;
  throw new SteplogError(
    "CONFLICT",
    `${name} is already installed: ${what}, ${found.folder}. To install it anew: steplog device install ${name} --force`,
  );
}

async function makeAndPublish(request: InstallRequest): Promise<InstalledDevice> {
  const { name, devicesDir } = request;
  const partial = await partialFolder(installedFolder(devicesDir, name));
  const failedLog = join(devicesDir, `${name}.log`);
  const root = installedFolder(partial, name);
  const log = join(root, "install.log");
  try {
    await mkdir(root, { recursive: true });
    await writeFile(log, "");
    const { receipt, ...made } = await make(request, partial, log);
    await writeReceipt(root, receipt);
    await publish(root, installedFolder(devicesDir, name), join(partial, "replaced"));
    await rm(failedLog, { force: true });
    const installed = (await listInstalled(devicesDir)).find((device) => device.name === name);
    return { ...receipt, name, folder: installedFolder(devicesDir, name), bytes: installed?.bytes ?? 0, ...made };
  } catch (error) {
    await copyFile(log, failedLog).catch(() => {});
    throw error instanceof Failed ? error.forPeople(failedLog) : error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function publish(made: string, place: string, old: string): Promise<void> {
  await rename(place, old).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  });
  await rename(made, place);
}

interface Made {
  readonly receipt: Receipt;
  readonly precisions: readonly string[];
  readonly onGpu: boolean;
  readonly remarks: readonly string[];
}

/** What failed, for each source that was tried. */
class Failed extends Error {
  readonly #name: string;
  readonly #reasons: readonly { readonly field: string; readonly message: string }[];

  constructor(name: string, reasons: readonly { readonly field: string; readonly message: string }[]) {
    super(`${name} was not installed`);
    this.#name = name;
    this.#reasons = reasons;
  }

  forPeople(log: string): SteplogError {
    const full = this.#reasons.some(({ message }) => message.includes(noRoomAdvice));
    const message = `${this.#name} was not installed, and nothing of it was kept. What npm, pip and the compiler said: ${log}`;
    return new SteplogError(full ? "UNAVAILABLE" : "DEVICE_UNAVAILABLE", message, this.#reasons);
  }
}

async function make(request: InstallRequest, partial: string, log: string): Promise<Made> {
  const { name, env, signal, onStep, source } = request;
  const root = installedFolder(partial, name);
  const device = { name, root, surroundings: { env, log, signal } };
  onStep(`npm installs ${installable[name]}@${packageVersion}`);
  await installPackage(device).catch((error: unknown) => {
    throw error instanceof StepFailure ? new Failed(name, [{ field: "npm", message: error.message }]) : error;
  });
  const reasons: { field: string; message: string }[] = [];
  for (const candidate of source === null ? sourceNames : [source]) {
    try {
      return await makeFrom(candidate, { ...request, root, surroundings: device.surroundings }, partial);
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      reasons.push({ field: candidate, message: error.message });
      await rm(join(root, "library"), { recursive: true, force: true });
    }
  }
  throw new Failed(name, reasons);
}

async function makeFrom(source: SourceName, options: SourceOptions, partial: string): Promise<Made> {
  const { name, root, onStep, surroundings } = options;
  if (source !== "host") needTools(options);
  const library = await libraryOf(source, options);
  if (library) {
    onStep(`building the addon against ${library.description}`);
    await buildAddon(options, library);
  } else {
    onStep("the package's own installer downloads and builds");
    await runInstaller(options);
  }
  await keepLibrary(root);
  onStep("trying the device in a fresh process");
  const trial = await tryInProcess({ installed: name, devicesDir: partial }, surroundings);
  if (!trial.opens) throw new StepFailure("Trying the device", trial.why, "The log has what TensorFlow said.");
  const { description, precisions, onGpu, remarks } = trial;
  const receipt: Receipt = {
    format: 1,
    package: `${installable[name]}@${packageVersion}`,
    description,
    library: library?.description ?? "downloaded by the package's installer",
    source,
    installedAt: new Date().toISOString(),
  };
  return { receipt, precisions, onGpu, remarks };
}
