/**
 * Every device that this machine has, open. The native device held to an instruction set computes in one thread: files of
 * tests run side by side, and more threads than cores spend their time waiting for one another.
 */
import type { DeviceName } from "../../engine/devices/choose.ts";
import { listDevices } from "../../engine/devices/choose.ts";
import type { Device } from "../../engine/devices/device.ts";

export async function openDevices(): Promise<Device[]> {
  const listed = await listDevices();
  return Promise.all(listed.flatMap(({ name, ...device }) => ("open" in device ? [device.open(threadsOf(name))] : [])));
}

/** As many as there are cores for the native device under its own name, so that both are tested. */
export function threadsOf(name: DeviceName): number {
  return name === "native" ? 0 : 1;
}
