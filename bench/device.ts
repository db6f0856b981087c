/** The device of a measurement, chosen like a worker's. */
import { chooseDevice } from "../engine/devices/choose.ts";
import type { Device, Precision } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";

/** @throws INVALID_ARGUMENT for settings that the device does not support, so that no result is reported under them */
export async function openDevice(options: { device: string; multiply?: Precision; threads?: number }): Promise<Device> {
  const { multiply = "float32", threads = 0 } = options;
  const devicesDir = process.env["STEPLOG_DEVICES"] ?? null;
  const { device } = await chooseDevice(options.device, { threads, devicesDir });
  if (threads > 0 && device.name !== "native") {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `--threads applies to the native device only, and this is ${device.name}.`,
    );
  }
  if (device.precisions.includes(multiply)) return device;
  const known = device.precisions.join(", ");
  throw new SteplogError(
    "INVALID_ARGUMENT",
    `Device ${device.name} supports products in ${known}, not in ${multiply}.`,
  );
}

/** A device that reports where its time went. */
interface Timed {
  /** Seconds spent on each part since the last call. */
  timings(): Promise<Readonly<Record<string, number>>>;
}

export async function timingsOf(device: Device): Promise<Readonly<Record<string, number>> | null> {
  return "timings" in device ? (device as Device & Timed).timings() : null;
}

/** A device that measures the peak of its processor. */
interface Bounded {
  /** 10^9 floating-point operations per second, on registers alone. */
  peak(precision: Precision): Promise<number>;
}

/** NaN if the device does not measure it. */
export async function peakOf(device: Device, precision: Precision): Promise<number> {
  return "peak" in device ? (device as Device & Bounded).peak(precision) : NaN;
}

/** A device that measures its memory. */
interface Copying {
  /** 10^9 bytes a second that a copy of memory reads and writes. */
  copyRate(): Promise<number>;
}

/** NaN for other devices. */
export async function copyRateOf(device: Device): Promise<number> {
  return "copyRate" in device ? (device as Device & Copying).copyRate() : NaN;
}
