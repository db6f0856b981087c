/**
 * The sources of a library that need no pip, to success. TensorFlow is the one of a device that was installed from a wheel
 * (STEPLOG_DEVICES), arranged as its archive for C unpacks; a server of ours stands in for the package's host. So what is not
 * tried is TensorFlow 2.9 itself, which that host has. Two minutes on two cores, so CI leaves it out: run it when devices/
 * changes.
 */
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { installDevice } from "../../devices/install.ts";
import { tryInProcess } from "../../devices/trial.ts";
import { devicesDir } from "../support/open-devices.ts";
import { runSteplog } from "../support/processes.ts";
import { scratch } from "../support/models.ts";
import { installRequest } from "./fakes.ts";

const exec = promisify(execFile);
const minute = 60_000;

/** What the addon's sources include. */
const headers = String.raw`tensorflow/include/(?:tensorflow/c/|xla/tsl/c/|(?:tensorflow/core|tsl)/platform/ctstring)`;
const unpackHeaders = `
import re, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if re.match(sys.argv[3], name)])`;

/** @returns a folder with lib and include, in `folder` */
async function unpack(folder: string, devices: string): Promise<string> {
  await exec("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "tensorflow-cpu"]);
  const [wheel = ""] = await readdir(folder);
  await exec("python3", ["-c", unpackHeaders, join(folder, wheel), folder, headers]);
  const made = join(folder, "archive");
  const lib = join(made, "lib");
  await mkdir(lib, { recursive: true });
  await symlink(join(folder, "tensorflow", "include"), join(made, "include"));
  const library = join(devices, "tfjs-cpu", "library", "tensorflow");
  const link = (from: string, to: string) => symlink(join(library, from), join(lib, to));
  for (const end of ["so", "so.2", "so.2.9.1"]) {
    await link("libtensorflow_cc.so.2", `libtensorflow.${end}`);
    await link("libtensorflow_framework.so.2", `libtensorflow_framework.${end}`);
  }
  // By which the wheel's library calls itself.
  await link("libtensorflow_cc.so.2", "libtensorflow_cc.so.2");
  return made;
}

/** Serves the archive as the package's host does, and no addon. @returns its address */
async function host(unpacked: string): Promise<string> {
  const tarball = join(unpacked, "..", "libtensorflow.tar.gz");
  await exec("tar", ["-C", unpacked, "-czf", tarball, "."]);
  const server = createServer((request, response) => {
    if (request.url === "/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz")
      createReadStream(tarball).pipe(response);
    else response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

// Without STEPLOG_DEVICES there is no library to arrange. Each takes 45 s of processor time: npm, a compiler and a trial.
describe.skipIf(devicesDir === null)("a device is installed from", { timeout: 5 * minute }, () => {
  let folder: string;
  let unpacked: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "steplog-archive-"));
    unpacked = await unpack(folder, devicesDir ?? "");
  }, 5 * minute);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("the package's host, whose addon is built where it has none", async () => {
    const address = await host(unpacked);
    const variables = { TFJS_NODE_CDN_STORAGE: address, npm_config_tfjs_binding_binary_host_mirror: address };
    const devices = join(await scratch(), "devices");
    const request = installRequest({ devicesDir: devices, env: { ...process.env, ...variables }, source: "host" });
    const { source, description, folder: installed, onGpu } = await installDevice(request);
    expect({ source, onGpu }).toEqual({ source: "host", onGpu: false });
    expect(description).toMatch(/@tensorflow\/tfjs-node, TensorFlow 2\..* on CPU/u);
    const left = await readdir(join(installed, "node_modules", "@tensorflow", "tfjs-node"));
    expect(left.filter((name) => name.startsWith("build"))).toEqual([]);
  });

  test("a library that is there; where that has no GPU, tfjs-gpu says so and opens on none", async () => {
    const args = ["device", "install", "tfjs-gpu", "--source", "library", "--library", unpacked];
    const devices = join(await scratch(), "devices");
    const { code, stdout, stderr } = await runSteplog(args, { STEPLOG_DEVICES: devices });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining(`against ${unpacked} ...`) as string,
    });
    expect(stdout).toMatch(/TensorFlow found no GPU here.*STEPLOG_DEVICE=tfjs-gpu fails at once/u);
    const surroundings = { env: process.env, log: "/dev/null", signal: new AbortController().signal };
    expect(await tryInProcess({ device: "tfjs-gpu", devicesDir: devices }, surroundings)).toMatchObject({
      opens: false,
      why: expect.stringMatching(/tfjs-node-gpu.*it found no GPU that it can use/u) as string,
    });
  });
});
