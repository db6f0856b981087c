/** The device of a measurement: chosen as a worker chooses it. */
import { chooseDevice } from "../engine/devices/choose.ts";
import type { Device, Precision } from "../engine/devices/device.ts";
import { SteplogError } from "../schema/errors.ts";

/** @throws INVALID_ARGUMENT for what the device cannot do: a number must not stand under a setting it does not have */
export async function openDevice(options: { device: string; multiply?: Precision; threads?: number }): Promise<Device> {
  const { multiply = "float32", threads = 0 } = options;
  const { device } = await chooseDevice(options.device, { threads });
  if (threads > 0 && device.name !== "native") {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `Threads are set for the native device alone, and this is ${device.name}.`,
    );
  }
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

/** A device that knows what its processor could do. */
interface Bounded {
  /** 10^9 floating-point operations a second between registers alone. */
  peak(precision: Precision): Promise<number>;
}

/** NaN where the device does not know. */
export async function peakOf(device: Device, precision: Precision): Promise<number> {
  return "peak" in device ? (device as Device & Bounded).peak(precision) : NaN;
}
