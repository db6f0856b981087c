/** The device of a measurement: chosen as a worker chooses it, or the native one with a number of threads. */
import { chooseDevice } from "../engine/devices/choose.ts";
import type { Device, Precision } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";

export async function openDevice(options: { device: string; multiply?: Precision; threads?: number }): Promise<Device> {
  const { device: name, multiply = "float32", threads } = options;
  const { device } = await chooseDevice(name, threads === undefined ? {} : { threads });
  if (device.precisions.includes(multiply)) return device;
  const known = device.precisions.join(", ");
  throw new SteplogError("INVALID_ARGUMENT", `Device ${device.name} multiplies in ${known}, not in ${multiply}.`);
}

/** A device that can tell what its time went to. */
interface Timed {
  /** Seconds of each part since the last call. */
  timings(): Promise<Readonly<Record<string, number>>>;
}

export async function timingsOf(device: Device): Promise<Readonly<Record<string, number>> | null> {
  return "timings" in device ? (device as Device & Timed).timings() : null;
}
