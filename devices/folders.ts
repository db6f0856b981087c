/**
 * The folder of installed devices (STEPLOG_DEVICES):
 *
 *   tfjs-cpu/               an installed device, complete
 *     installed.json          what it is; written last
 *     node_modules/           the npm package, with its addon
 *     library/                TensorFlow's library and NVIDIA's, as pip lays them out
 *     install.log             what npm, pip and the compiler said
 *   .tfjs-cpu.partial-...   one that is being made, or what a killed install left, which the next one deletes
 *   .tfjs-cpu.lock          who is making or removing it
 *   tfjs-cpu.log            the log of an install that failed
 *
 * All paths inside are relative, so that a folder can be renamed when it is complete.
 */
import { lstat, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import { installableNames, installedFolder } from "../engine/devices/tensorflow/packages.ts";

const receiptSchema = z.object({
  format: z.literal(1),
  /** The npm package, with its version. */
  package: z.string(),
  /** What the device says of itself. */
  description: z.string(),
  /** Where the library came from, for people. */
  library: z.string(),
  source: z.enum(["library", "wheel", "host"]),
  installedAt: z.string(),
});

/** What an installed device is. */
export type Receipt = z.infer<typeof receiptSchema>;

export interface Installed {
  readonly name: InstallableName;
  readonly folder: string;
  readonly bytes: number;
  /** Null if the folder was not made by `steplog device install`, or is damaged. */
  readonly receipt: Receipt | null;
}

const receiptFile = "installed.json";

export async function writeReceipt(folder: string, receipt: Receipt): Promise<void> {
  await writeFile(join(folder, receiptFile), `${JSON.stringify(receipt, null, 2)}\n`);
}

/** The devices that are installed in a folder, which need not exist. */
export async function listInstalled(devicesDir: string): Promise<Installed[]> {
  const present = new Set<string>(await readdir(devicesDir).catch(() => []));
  const names = installableNames.filter((name) => present.has(name));
  return Promise.all(names.map((name) => lookAt(devicesDir, name)));
}

async function lookAt(devicesDir: string, name: InstallableName): Promise<Installed> {
  const folder = installedFolder(devicesDir, name);
  return { name, folder, bytes: await bytesOf(folder), receipt: await readReceipt(folder) };
}

async function readReceipt(folder: string): Promise<Receipt | null> {
  try {
    return receiptSchema.parse(JSON.parse(await readFile(join(folder, receiptFile), "utf8")));
  } catch {
    return null;
  }
}

/** The files of a folder, without what links in it lead to. */
async function bytesOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await lstat(join(parentPath, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
