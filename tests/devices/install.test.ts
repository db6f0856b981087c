/** Every way in which an install can fail: which step, why, what to do, and that nothing half done is left. */
import { statfsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { installDevice } from "../../devices/install.ts";
import type { InstallRequest } from "../../devices/install.ts";
import { removeDevice } from "../../devices/remove.ts";
import { chooseDevice } from "../../engine/devices/choose.ts";
import { hostInNames, isAlive } from "../../engine/model/files/partial.ts";
import { SteplogError } from "../../schema/errors.ts";
import { scratch } from "../support/models.ts";
import { startSteplog } from "../support/processes.ts";
import { whyNoDisk, smallDisk } from "../support/small-disk.ts";
import { fakes } from "./fakes.ts";

/** The code and the issues, by source. */
async function failure(request: InstallRequest): Promise<{ code: string; issues: Record<string, string> }> {
  const error = await installDevice(request).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SteplogError)) throw new Error("it fails", { cause: error });
  const { code, issues } = error;
  return { code, issues: Object.fromEntries(issues.map(({ field = "", message }) => [field, message])) };
}

const gypSays = `"gyp ERR! stack Error: make failed" "node-pre-gyp ERR! build error" "npm error code 1"`;

const failures: readonly (readonly [
  what: string,
  missing: readonly string[],
  variables: Readonly<Record<string, string>>,
  step: RegExp,
])[] = [
  [
    "a compiler is missing",
    ["g++", "make"],
    {},
    /compiler failed: not installed: g\+\+, make\. apt-get install g\+\+ make/u,
  ],
  ["python3 is missing", ["python3"], {}, /not installed: python3\. apt-get install python3/u],
  [
    "pip finds no wheel",
    [],
    { FAKE_PIP: 'echo "ERROR: No matching distribution found for tensorflow-cpu"; exit 1' },
    /^pip install tensorflow-cpu failed: ERROR: No matching .* \(exit status 1\)\. Name an index .*PIP_INDEX_URL/u,
  ],
  [
    "there is no pip",
    [],
    { FAKE_PIP_MISSING: "1" },
    /^Finding pip failed: ensurepip is not .*apt-get install python3-venv/u,
  ],
  [
    "the wheel has no library",
    [],
    { FAKE_PIP: 'rm "$site/tensorflow/libtensorflow_cc.so.2"' },
    /^Reading the wheel tensorflow-cpu failed: .*--wheel/u,
  ],
  [
    "the compiler fails",
    [],
    { FAKE_NPM: '[ "$1" != exec ] || { echo "tfjs_backend.cc:3: error: no member named X"; exit 7; }' },
    /^Building the addon failed: tfjs_backend\.cc:3: error: no member named X \(exit status 7\)\. /u,
  ],
  [
    "the compiler fails under npm's node-gyp: the compiler is quoted",
    [],
    { FAKE_NPM: `[ "$1" != exec ] || { printf '%s\\n' "a.cc:3: fatal error: b.h: No such file" ${gypSays}; exit 1; }` },
    /^Building the addon failed: a\.cc:3: fatal error: b\.h: No such file \(exit status 1\)\. /u,
  ],
  ["the addon crashes", [], { FAKE_PACKAGE: "process.abort()" }, /^Trying the device failed: .* ended by SIGABRT\. /u],
  [
    "the addon does not load",
    [],
    { FAKE_PACKAGE: 'throw new Error("libtensorflow_cc.so.2: no such file")' },
    /^Trying the device failed: @tensorflow\/tfjs-node in .*tfjs-cpu: libtensorflow_cc\.so\.2: no such file\. /u,
  ],
];

test.each(failures)("%s: the step, the reason and the remedy are told", async (_, missing, variables, message) => {
  const here = await fakes(missing);
  const { code, issues } = await failure(here.request({}, variables));
  expect(code).toBe("DEVICE_UNAVAILABLE");
  expect(issues).toEqual({ wheel: expect.stringMatching(message) as string });
  expect(await here.left()).toEqual(["tfjs-cpu.log"]);
});

test("without npm nothing is tried", async () => {
  const { code, issues } = await failure((await fakes(["npm"])).request());
  expect(code).toBe("DEVICE_UNAVAILABLE");
  expect(issues).toEqual({ npm: expect.stringContaining("there is no npm") as string });
});

test("each source is tried in turn, and each says why it failed", async () => {
  const here = await fakes();
  const env = { FAKE_PIP: 'echo "ERROR: No matching distribution found"; exit 1' };
  const { issues } = await failure(here.request({ source: null, libraryDir: "/nowhere" }, env));
  expect(issues).toEqual({
    library: expect.stringContaining("there is no folder /nowhere") as string,
    wheel: expect.stringContaining("No matching distribution") as string,
    host: expect.stringMatching(/ENOTFOUND storage.*TFJS_NODE_CDN_STORAGE/u) as string,
  });
  expect(await readFile(join(here.devicesDir, "tfjs-cpu.log"), "utf8")).toMatch(/pip install[^]*ENOTFOUND/u);
});

test("a full disk is UNAVAILABLE, and says how to go on", async () => {
  const here = await fakes();
  const env = { FAKE_PIP: 'echo "OSError: [Errno 28] No space left on device"; exit 1' };
  const { code, issues } = await failure(here.request({}, env));
  expect(code).toBe("UNAVAILABLE");
  expect(issues["wheel"]).toMatch(/No space left on device.*STEPLOG_DEVICES to a folder on a larger disk/u);
});

test.skipIf(whyNoDisk !== null)("a disk that is too small is refused before pip downloads", async () => {
  const here = await fakes();
  await smallDisk(here.devicesDir, "size=4m");
  const { code, issues } = await failure(here.request());
  expect(code).toBe("UNAVAILABLE");
  expect(issues["wheel"]).toMatch(/the wheel needs 2\.5 GB, and the disk has .* MB free/u);
  expect(await here.calls()).toBe("");
});

/** As many as pip needs for TensorFlow with CUDA. */
const { bavail, bsize } = statfsSync(tmpdir());

test.skipIf(bavail * bsize < 12e9)(
  "for a GPU, pip installs the CUDA libraries that the wheel names, and the addon is linked to them",
  async () => {
    const here = await fakes();
    const variables = { FAKE_NAME: "tfjs-node-gpu", FAKE_PACKAGE: 'throw new Error("no driver")', PIP_RETRIES: "3" };
    const request = here.request({ name: "tfjs-gpu", wheel: "tensorflow==2.21.0", pipArgs: ["--pre"] }, variables);
    expect((await failure(request)).issues["wheel"]).toContain("no driver");
    const calls = await here.calls();
    expect(calls).toMatch(/--no-deps tensorflow==2\.21\.0\n/u);
    expect(calls).toMatch(/--pre nvidia-cudart-cu12<13\.0\n/u);
    expect(calls).toMatch(/LDFLAGS=-Wl,--no-as-needed .*-l:libcudart\.so\.12\n/u);
    expect(calls).not.toContain("-l:libother");
    expect(calls).toMatch(/libcudart\.so\.12\nlibother\.so\.1\nlibtensorflow\.so\n/u);
  },
);

describe("an install that is under way", () => {
  /** Its npm waits for ever. */
  async function underWay() {
    const here = await fakes();
    const stop = new AbortController();
    let installing = Promise.resolve<unknown>(null);
    await new Promise<void>((onStep) => {
      installing = installDevice(
        here.request({ signal: stop.signal, onStep: () => onStep() }, { FAKE_NPM: "sleep 600" }),
      );
    });
    return { ...here, stop, installing: () => installing };
  }

  test("is left alone by a second one, which says so; interrupted, it leaves nothing", async () => {
    const { request, installing, stop, left } = await underWay();
    await expect(installDevice(request())).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringMatching(
        new RegExp(`^Process ${process.pid} on .* is installing or removing tfjs-cpu\\.`, "u"),
      ) as string,
    });
    stop.abort();
    await expect(installing()).rejects.toBe(stop.signal.reason);
    expect(await left()).toEqual(["tfjs-cpu.log"]);
  });
});

test("a killed install takes its programs along, and what it left is deleted by the next", async () => {
  const here = await fakes();
  const variables = {
    FAKE_NPM: 'sleep 600 & echo "pids $$ $!" >>"$FAKE_CALLS"; wait',
    STEPLOG_DEVICES: here.devicesDir,
  };
  const env = here.request({}, variables).env as Record<string, string>;
  const running = startSteplog(["device", "install", "tfjs-cpu", "--source", "wheel"], env);
  const pids = await vi.waitFor(
    async () =>
      /pids (\d+) (\d+)/u
        .exec(await here.calls())
        ?.slice(1)
        .map(Number) ?? never(),
    15_000,
  );
  await running.kill("SIGKILL");
  await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), 5000);
  const { pid } = running.child;
  expect(await here.left()).toEqual([".tfjs-cpu.lock", `.tfjs-cpu.partial-${hostInNames}-${pid}`]);
  await failure(here.request({}, { FAKE_PACKAGE: "process.abort()" }));
  expect(await here.left()).toEqual(["tfjs-cpu.log"]);
});

function never(): never {
  throw new Error("not yet");
}

describe("a device that is installed", () => {
  async function installed() {
    const here = await fakes();
    const folder = join(here.devicesDir, "tfjs-cpu");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "mark"), "");
    return { ...here, folder };
  }

  test("is not installed again, and survives a failed --force", async () => {
    const { request, folder } = await installed();
    await expect(installDevice(request())).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("steplog device install tfjs-cpu --force") as string,
    });
    await failure(request({ replace: true }, { FAKE_PACKAGE: "process.abort()" }));
    expect(await readdir(folder)).toEqual(["mark"]);
  });

  test("is removed as a whole, once", async () => {
    const { devicesDir, left } = await installed();
    await removeDevice(devicesDir, "tfjs-cpu");
    expect(await left()).toEqual([]);
    await expect(removeDevice(devicesDir, "tfjs-cpu")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

test("a device that is asked for and not installed is an error with the command to run", async () => {
  await expect(chooseDevice("tfjs-cpu", { devicesDir: await scratch() })).rejects.toMatchObject({
    code: "DEVICE_UNAVAILABLE",
    message: expect.stringMatching(/tfjs-cpu cannot be opened: .*steplog device install/u) as string,
  });
});
