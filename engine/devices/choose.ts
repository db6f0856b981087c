/**
 * Chooses the device. If a device requested by name cannot be opened, that is an error; only a group such as `auto` tries the
 * next one, and reports what it chose and what failed.
 */
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { Device } from "./device.ts";
import { firstLineOf } from "./first-line.ts";
import { createPlainDevice } from "./plain.ts";
import type { InstallableName } from "./tensorflow/packages.ts";

/** What this machine has for its devices. */
export interface DeviceSetup {
  /** Threads of the native device; 0, the default, for one per core. Other devices manage threads themselves. */
  readonly threads?: number;
  /** The folder of devices that `steplog device install` made; null, the default, for none. */
  readonly devicesDir?: string | null;
}

type Open = (setup: DeviceSetup) => Promise<Device>;

/** The native device, with the best instruction set of the processor or a given one. */
const native =
  (instructionSet = ""): Open =>
  async ({ threads = 0 }) =>
    (await import("./native.ts")).createNativeDevice(instructionSet, threads);

/** On TensorFlow, wherever it is installed, or only under that name. That for GPUs then never falls back to the processor. */
const tensorflow =
  (only: InstallableName | null = null): Open =>
  async ({ devicesDir = null }) => {
    const { createTensorflowDevice } = await import("./tensorflow/tensorflow.ts");
    const device = createTensorflowDevice(devicesDir, only);
    if (only !== "tfjs-gpu" || device.onGpu) return device;
    device.dispose();
    throw new Error(`${device.description}: it found no GPU that it can use`);
  };

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
  "tfjs-tensorflow": tensorflow(),
  "tfjs-wasm": async () => (await import("./wasm/wasm.ts")).createWasmDevice(),
  plain: () => Promise.resolve(createPlainDevice()),
} as const satisfies Readonly<Record<string, Open>>;

export type DeviceName = keyof typeof devices;

/** What `steplog device install` makes, by the names that it has there: tfjs-tensorflow, but that one and no other. */
const installed = {
  "tfjs-gpu": tensorflow("tfjs-gpu"),
  "tfjs-cpu": tensorflow("tfjs-cpu"),
} as const satisfies Readonly<Record<InstallableName, Open>>;

const openers = { ...devices, ...installed };
type OpenerName = keyof typeof openers;

/** Groups: the first device of a group that opens is chosen. */
const groups = {
  auto: ["native", "tfjs-tensorflow", "tfjs-wasm", "plain"],
  tfjs: ["tfjs-tensorflow", "tfjs-wasm"],
} as const satisfies Readonly<Record<string, readonly DeviceName[]>>;

/** Without groups, and without other names of the same. */
export const singleDevices: readonly string[] = Object.keys(devices);

export const deviceNames: readonly string[] = [...Object.keys(groups), ...Object.keys(openers)];

interface ChosenDevice {
  readonly device: Device;
  /** By which chooseDevice opens this one again, and no other. */
  readonly name: string;
  /** For people: why this device. */
  readonly why: string;
}

/**
 * @throws INVALID_ARGUMENT for a name that is not in `deviceNames`; DEVICE_UNAVAILABLE if no device opens
 */
export async function chooseDevice(
  name: string,
  { log, ...setup }: DeviceSetup & { log?: (message: string) => void } = {},
): Promise<ChosenDevice> {
  const candidates = candidatesFor(name);
  const failures: string[] = [];
  for (const candidate of candidates) {
    try {
      const device = await openers[candidate](setup);
      const why = `${reasonFor(name, candidate)}${failures.map((failure) => `; ${failure}`).join("")}`;
      log?.(`Device: ${device.description} (${why}).`);
      return { device, name: candidate, why };
    } catch (error) {
      failures.push(`${candidate} cannot be opened: ${firstLineOf(error)}`);
    }
  }
  throw new SteplogError(
    "DEVICE_UNAVAILABLE",
    `Device ${name} is not available. Tried: ${failures.join("; ")}. ${advice}`,
  );
}

/** Opens one device, no group. @throws what its library says; INVALID_ARGUMENT for another name */
export async function openDevice(name: string, setup: DeviceSetup): Promise<Device> {
  const [only, ...others] = candidatesFor(name);
  invariant(only && others.length === 0, `${name} is one device`);
  return openers[only](setup);
}

const advice =
  "For native, run npm run build:native, which reports what is missing; for tfjs-tensorflow, run steplog device install tfjs-gpu, or tfjs-cpu " +
  "(docs/devices.md); for tfjs-wasm, run npm install; or set STEPLOG_DEVICE=auto to use the first device that opens. " +
  "steplog device list shows them all.";

function candidatesFor(name: string): readonly OpenerName[] {
  if (isKey(groups, name)) return groups[name];
  if (isKey(openers, name)) return [name];
  throw new SteplogError("INVALID_ARGUMENT", `Unknown device "${name}". Devices: ${deviceNames.join(", ")}.`, [
    { field: "device", message: `must be one of ${deviceNames.join(", ")}` },
  ]);
}

function isKey<T extends object>(object: T, key: string): key is keyof T & string {
  return Object.hasOwn(object, key);
}

function reasonFor(name: string, chosen: OpenerName): string {
  return name === chosen ? "requested by name" : `${name} uses the first that opens: ${chosen}`;
}

/** A device of this machine, or why it is missing. */
export type ListedDevice =
  | { readonly name: DeviceName; readonly open: (threads: number) => Promise<Device> }
  | { readonly name: DeviceName; readonly missing: string };

/** All devices. Each is opened once to see whether it works. */
export async function listDevices(devicesDir: string | null = null): Promise<ListedDevice[]> {
  const listed: ListedDevice[] = [];
  for (const name of Object.keys(devices)) {
    if (!isKey(devices, name)) continue;
    const open = (threads: number): Promise<Device> => devices[name]({ threads, devicesDir });
    try {
      (await open(1)).dispose();
      listed.push({ name, open });
    } catch (error) {
      listed.push({ name, missing: firstLineOf(error) });
    }
  }
  return listed;
}
