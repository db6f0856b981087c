/**
 * Chooses the device. If a device requested by name cannot be opened, that is an error; only a group such as `auto` tries the
 * next one, and reports what it chose and what failed.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { Device } from "./device.ts";
import { createPlainDevice } from "./plain.ts";

/** Opens a device. `threads` is for the native device; 0 is one per core. */
type Open = (threads: number) => Promise<Device>;

/** The native device, with the best instruction set of the processor or a given one. */
const native =
  (instructionSet = ""): Open =>
  async (threads) =>
    (await import("./native.ts")).createNativeDevice(instructionSet, threads);

/**
 * Devices by name. Their libraries are loaded only when a device is opened. native-... is the native device restricted to an
 * instruction set, so that one machine can test them all.
 */
const devices = {
  native: native(),
  "native-amx": native("amx"),
  "native-avx512-bf16": native("avx512-bf16"),
  "native-avx512": native("avx512"),
  "native-avx2": native("avx2"),
  "native-portable": native("portable"),
  "tfjs-tensorflow": async () => (await import("./tensorflow/tensorflow.ts")).createTensorflowDevice(),
  "tfjs-wasm": async () => (await import("./wasm/wasm.ts")).createWasmDevice(),
  plain: () => Promise.resolve(createPlainDevice()),
} as const satisfies Readonly<Record<string, Open>>;

export type DeviceName = keyof typeof devices;

/** Groups: the first device of a group that opens is chosen. */
const groups = {
  auto: ["native", "tfjs-tensorflow", "tfjs-wasm", "plain"],
  tfjs: ["tfjs-tensorflow", "tfjs-wasm"],
} as const satisfies Readonly<Record<string, readonly DeviceName[]>>;

export const deviceNames: readonly string[] = [...Object.keys(groups), ...Object.keys(devices)];

interface ChosenDevice {
  readonly device: Device;
  /** For people: why this device. */
  readonly why: string;
}

/**
 * @param options.threads threads of the native device; 0 for one per core. Other devices manage threads themselves.
 * @throws INVALID_ARGUMENT for a name that is not in `deviceNames`; DEVICE_UNAVAILABLE if no device opens
 */
export async function chooseDevice(
  name: string,
  { threads = 0, log }: { threads?: number; log?: (message: string) => void } = {},
): Promise<ChosenDevice> {
  const candidates = candidatesFor(name);
  const failures: string[] = [];
  for (const candidate of candidates) {
    try {
      const device = await devices[candidate](threads);
      const why = `${reasonFor(name, candidate)}${failures.map((failure) => `; ${failure}`).join("")}`;
      log?.(`Device: ${device.description} (${why}).`);
      return { device, why };
    } catch (error) {
      failures.push(`${candidate} cannot be opened: ${messageOf(error)}`);
    }
  }
  throw new SteplogError(
    "DEVICE_UNAVAILABLE",
    `Device ${name} is not available. Tried: ${failures.join("; ")}. ${advice}`,
  );
}

const advice =
  "For native, run npm run build:native, which reports what is missing; for tfjs-tensorflow, install @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node beside Steplog (docs/devices.md); " +
  "for tfjs-wasm, run npm install; or set STEPLOG_DEVICE=auto to use the first device that opens.";

function candidatesFor(name: string): readonly DeviceName[] {
  if (isKey(groups, name)) return groups[name];
  if (isKey(devices, name)) return [name];
  throw new SteplogError("INVALID_ARGUMENT", `Unknown device "${name}". Devices: ${deviceNames.join(", ")}.`, [
    { field: "device", message: `must be one of ${deviceNames.join(", ")}` },
  ]);
}

function isKey<T extends object>(object: T, key: string): key is keyof T & string {
  return Object.hasOwn(object, key);
}

function reasonFor(name: string, chosen: DeviceName): string {
  return name === chosen ? "requested by name" : `${name} uses the first that opens: ${chosen}`;
}

/** The first line of an error; loaders append require stacks. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? message;
}

/** A device of this machine, or why it is missing. */
export type ListedDevice =
  | { readonly name: DeviceName; readonly open: Open }
  | { readonly name: DeviceName; readonly missing: string };

/** All devices. Each is opened once to see whether it works. */
export async function listDevices(): Promise<ListedDevice[]> {
  const listed: ListedDevice[] = [];
  for (const name of Object.keys(devices)) {
    if (!isKey(devices, name)) continue;
    try {
      (await devices[name](1)).dispose();
      listed.push({ name, open: devices[name] });
    } catch (error) {
      listed.push({ name, missing: messageOf(error) });
    }
  }
  return listed;
}
