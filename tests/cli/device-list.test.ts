/** steplog device list: every device, those that are installed by their own names, and why one does not open. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { singleDevices } from "../../engine/devices/choose.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { devicesDir, isSkipped } from "../support/open-devices.ts";

interface Report {
  readonly devicesDir: string;
  readonly devices: readonly { readonly name: string; readonly opens: boolean; readonly why?: string }[];
  readonly installed: readonly { readonly name: string; readonly receipt: unknown }[];
}

/** As much of TensorFlow as opens. */
const openingLibrary = `{
  executeOp: () => [],
  createTensor: () => 0,
  deleteTensor() {},
  isUsingGpuDevice: () => false,
  TF_Version: "2.21.0",
}`;

/** A folder of devices: the one for GPUs loads and finds none, the other has no package. */
async function damagedDevices(): Promise<string> {
  const folder = await scratch();
  const addon = join(folder, "tfjs-gpu/node_modules/@tensorflow/tfjs-node-gpu");
  await Promise.all([mkdir(join(addon, "lib"), { recursive: true }), mkdir(join(folder, "tfjs-cpu"))]);
  const binary = { module_name: "addon", module_path: "./lib", napi_versions: [3] };
  await writeFile(join(addon, "package.json"), JSON.stringify({ binary }));
  await writeFile(join(addon, "lib/addon.js"), `module.exports = ${openingLibrary};`);
  return folder;
}

const noGpu = /tfjs-node-gpu, TensorFlow 2\.21\.0 on CPU: it found no GPU that it can use/u;
const noPackage = /tfjs-node in .*tfjs-cpu: Cannot find module/u;

test("an installed device that does not open is there by its name, with the reason", { timeout: 60_000 }, async () => {
  const env = { STEPLOG_DEVICES: await damagedDevices() };
  const { code, stdout } = await steplogHere(["device", "list", "--json"], env);
  expect(code).toBe(0);
  const report = JSON.parse(stdout) as Report;
  expect(report.devicesDir).toBe(env.STEPLOG_DEVICES);
  expect(report.installed.map(({ name, receipt }) => [name, receipt])).toStrictEqual([
    ["tfjs-gpu", null],
    ["tfjs-cpu", null],
  ]);
  const at = singleDevices.indexOf("tfjs-tensorflow") + 1;
  expect(report.devices.map(({ name }) => name)).toStrictEqual(singleDevices.toSpliced(at, 0, "tfjs-gpu", "tfjs-cpu"));
  for (const [name, why] of [
    ["tfjs-gpu", noGpu],
    ["tfjs-cpu", noPackage],
  ] as const) {
    const found = report.devices.find((device) => device.name === name);
    expect(found).toStrictEqual({ name, opens: false, why: expect.stringMatching(why) as string });
  }

  const text = (await steplogHere(["device", "list"], env)).stdout;
  expect(text).toMatch(new RegExp(`^tfjs-gpu +no +.*${noGpu.source}`, "mu"));
  expect(text).toMatch(new RegExp(`^tfjs-cpu +no +.*${noPackage.source}`, "mu"));
  expect(text).toMatch(/^tfjs-gpu +not complete; install it anew with --force +- /mu);
  expect(text).toMatch(/^plain +yes +/mu);
});

test("where nothing is installed, neither is in the list, and it says what installs one", async () => {
  const env = { STEPLOG_DEVICES: await scratch() };
  const { stdout } = await steplogHere(["device", "list"], env);
  expect(stdout).not.toMatch(/^tfjs-[cg]pu/mu);
  expect(stdout).toContain(`Nothing is installed in ${env.STEPLOG_DEVICES}. For TensorFlow: steplog device install`);
});

test.skipIf(devicesDir === null || (await isSkipped("tfjs-tensorflow")))(
  "one that opens does so by either name",
  { timeout: 60_000 },
  async () => {
    const { stdout } = await steplogHere(["device", "list", "--json"], { STEPLOG_DEVICES: devicesDir ?? "" });
    const { devices, installed } = JSON.parse(stdout) as Report;
    expect(installed.length).toBeGreaterThan(0);
    const opened = devices.filter(({ opens }) => opens).map(({ name }) => name);
    expect(opened).toContain("tfjs-tensorflow");
    // That for GPUs needs one.
    if (installed.some(({ name }) => name === "tfjs-cpu")) expect(opened).toContain("tfjs-cpu");
  },
);
