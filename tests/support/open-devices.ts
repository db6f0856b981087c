/** Every device that this machine has, open. */
import { listDevices } from "../../engine/devices/choose.ts";
import type { Device } from "../../engine/devices/device.ts";

export async function openDevices(): Promise<Device[]> {
  const listed = await listDevices();
  return Promise.all(listed.flatMap((device) => ("open" in device ? [device.open()] : [])));
}
