/**
 * Which device computes. A device that is asked for by name and cannot be had is an error; only `auto` looks further,
 * and says what it took and what it passed over.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { Device } from "./device.ts";
import { createPlainDevice } from "./plain.ts";

/** `threads` of the native device; 0 for as many as there are cores. */
type Open = (threads: number) => Promise<Device>;

/** The native device, at its best or held to an instruction set. */
const native =
  (instructionSet = ""): Open =>
  async (threads) =>
    (await import("./native.ts")).createNativeDevice(instructionSet, threads);

/**
 * Devices by name, in the order in which `auto` tries them. Libraries are loaded when a device is opened. Those named after
 * an instruction set are the native device held to it, so that one machine can try them all.
 */
const devices = {
  native: native(),
  "native-amx": native("amx"),
  "native-avx512-bf16": native("avx512-bf16"),
  "native-avx512": native("avx512"),
  "native-avx2": native("avx2"),
  "native-portable": native("portable"),
  "tfjs-tensorflow": async () => (await import("./tfjs-tensorflow.ts")).createTensorflowDevice(),
  "tfjs-wasm": async () => (await import("./tfjs-wasm.ts")).createWasmDevice(),
  plain: () => Promise.resolve(createPlainDevice()),
} as const satisfies Readonly<Record<string, Open>>;

export type DeviceName = keyof typeof devices;

/** Names that stand for the first of several devices that can be opened. */
const groups = {
  auto: ["native", "tfjs-tensorflow", "tfjs-wasm", "plain"],
  tfjs: ["tfjs-tensorflow", "tfjs-wasm"],
} as const satisfies Readonly<Record<string, readonly DeviceName[]>>;

export const deviceNames: readonly string[] = [...Object.keys(groups), ...Object.keys(devices)];

export interface ChosenDevice {
  readonly device: Device;
  /** For people: why this one. */
  readonly why: string;
}

/**
 * @param options.threads of the native device; 0 for as many as there are cores. Other devices have their own ways.
 * @throws INVALID_ARGUMENT for a name that is none of `deviceNames`; DEVICE_UNAVAILABLE, with what was tried and what to
 * do, when the device cannot be opened
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
      const why = `${describe(name, candidate)}${failures.map((failure) => `; ${failure}`).join("")}`;
      log?.(`Device: ${device.description} (${why}).`);
      return { device, why };
    } catch (error) {
      failures.push(`${candidate} cannot be used: ${messageOf(error)}`);
    }
  }
  throw new SteplogError(
    "DEVICE_UNAVAILABLE",
    `Device ${name} is not available. Tried: ${failures.join("; ")}. ${advice}`,
  );
}

const advice =
  "For native, run npm run build:native, which says what it lacks; for tfjs-tensorflow, install @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node beside Steplog (docs/devices.md); " +
  "for tfjs-wasm, run npm install; or set STEPLOG_DEVICE=auto to take what there is.";

function candidatesFor(name: string): readonly DeviceName[] {
  if (isKey(groups, name)) return groups[name];
  if (isKey(devices, name)) return [name];
  throw new SteplogError("INVALID_ARGUMENT", `Unknown device "${name}". Known are: ${deviceNames.join(", ")}.`, [
    { field: "device", message: `must be one of ${deviceNames.join(", ")}` },
  ]);
}

function isKey<T extends object>(object: T, key: string): key is keyof T & string {
  return Object.hasOwn(object, key);
}

function describe(name: string, taken: DeviceName): string {
  return name === taken ? "asked for by name" : `${name} takes the first that opens: ${taken}`;
}

/** First line of an error: what loaders append (require stacks) helps nobody here. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? message;
}

/** One device of this machine, or why it has none of that name. */
export type ListedDevice =
  | { readonly name: DeviceName; readonly open: Open }
  | { readonly name: DeviceName; readonly missing: string };

/** Every device, opened once to see whether it can be. */
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
