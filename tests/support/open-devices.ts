/**
 * Every device that this machine has, open. The native device held to an instruction set computes in one thread: files of
 * tests run side by side, and more threads than cores spend their time waiting for one another.
 */
import type { DeviceName, ListedDevice } from "../../engine/devices/choose.ts";
import { listDevices, openDevice } from "../../engine/devices/choose.ts";
import type { Device } from "../../engine/devices/device.ts";

/** The folder of installed devices that the tests are given, by the variable that a worker reads. */
export const devicesDir = process.env["STEPLOG_DEVICES"] ?? null;

/** STEPLOG_TEST_DEVICES (comma list) promises devices: tests of one that does not open then run, and fail. */
export const promised = (process.env["STEPLOG_TEST_DEVICES"] ?? "").split(",").filter((name) => name !== "");

/** Whether tests of this device are skipped: it does not open here, and nobody promised it. */
export async function isSkipped(name: DeviceName): Promise<boolean> {
  if (promised.includes(name)) return false;
  try {
    (await openDevice(name, { threads: 1, devicesDir })).dispose();
    return false;
  } catch {
    return true;
  }
}

/** STEPLOG_TEST_ONLY (comma list) leaves out all other devices. */
const only = (process.env["STEPLOG_TEST_ONLY"] ?? "").split(",").filter((name) => name !== "");

export async function devicesHere(): Promise<ListedDevice[]> {
  const listed = await listDevices(devicesDir);
  return only.length === 0 ? listed : listed.filter(({ name }) => only.includes(name));
}

/** The device of tests that take one: the first that opens, of all or of STEPLOG_TEST_ONLY. */
export const oneDevice = only[0] ?? "auto";

export async function openDevices(): Promise<Device[]> {
  const listed = await devicesHere();
  return Promise.all(listed.flatMap(({ name, ...device }) => ("open" in device ? [device.open(threadsOf(name))] : [])));
}

/** As many as there are cores for the native device under its own name, so that both are tested. */
export function threadsOf(name: DeviceName): number {
  return name === "native" ? 0 : 1;
}
