/** Removes an installed device: one rename takes it away as a whole, then its files are deleted. */
import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import { installedFolder } from "../engine/devices/tensorflow/packages.ts";
import { partialFolder } from "../engine/model/files/partial.ts";
import { withLock } from "../engine/model/files/lock.ts";
import { SteplogError, asDiskError } from "../schema/errors.ts";
import { lockOf } from "./install.ts";

/** @throws NOT_FOUND; CONFLICT when another process is installing it; UNAVAILABLE for a disk that cannot be used */
export async function removeDevice(devicesDir: string, name: InstallableName): Promise<void> {
  const folder = installedFolder(devicesDir, name);
  const present = await stat(devicesDir).catch(() => null);
  if (!present) throw notInstalled(name, devicesDir);
  try {
    await withLock(lockOf(devicesDir, name), `installing or removing ${name}`, async () => {
      // The name of what is being made, so that an interrupted removal is finished by the next install or removal.
      const removed = await partialFolder(folder);
      const there = await stat(folder).catch(() => null);
      if (!there) throw notInstalled(name, devicesDir);
      await rename(folder, removed);
      await rm(removed, { recursive: true, force: true });
      await rm(join(devicesDir, `${name}.log`), { force: true });
    });
  } catch (error) {
    throw asDiskError(error, `The folder of devices ${devicesDir}`);
  }
}

function notInstalled(name: string, devicesDir: string): SteplogError {
  return new SteplogError("NOT_FOUND", `${name} is not installed in ${devicesDir} (STEPLOG_DEVICES).`);
}
