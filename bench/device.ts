/** The device of a measurement: chosen as a worker chooses it, or the native one with a number of threads. */
import { chooseDevice } from "../engine/devices/choose.ts";
import type { Device, Precision } from "../engine/devices/device.ts";
import { createNativeDevice } from "../engine/devices/native.ts";
import { SteplogError } from "../schema/errors.ts";

export async function openDevice(options: { device: string; multiply?: Precision; threads?: number }): Promise<Device> {
  const { device: name, multiply = "float32", threads } = options;
  const device = threads === undefined ? (await chooseDevice(name)).device : openNative(name, threads);
  if (device.precisions.includes(multiply)) return device;
  const known = device.precisions.join(", ");
  throw new SteplogError("INVALID_ARGUMENT", `Device ${device.name} multiplies in ${known}, not in ${multiply}.`);
}

function openNative(name: string, threads: number): Device {
  const [, instructionSet = ""] = /^native(?:-(.+))?$/u.exec(name === "auto" ? "native" : name) ?? [null, null];
  if (instructionSet !== null) return createNativeDevice(instructionSet, threads);
  throw new SteplogError("INVALID_ARGUMENT", `--threads is for the native device, and this is ${name}.`);
}

/** A device that can tell what its time went to. */
interface Timed {
  /** Seconds of each part since the last call. */
  timings(): Promise<Readonly<Record<string, number>>>;
}

export async function timingsOf(device: Device): Promise<Readonly<Record<string, number>> | null> {
  return "timings" in device ? (device as Device & Timed).timings() : null;
}
