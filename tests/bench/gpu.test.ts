/** bench/gpu.sh: stages end, are cut short or are skipped, the report survives, and the page shows it. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configNamed } from "../../bench/configs.ts";
import { fillingDevice, modelInMemory } from "../../bench/gpu/in-memory.ts";
import { countPlacements, onCpu } from "../../bench/gpu/placement.ts";
import type { GpuReport, StageReport } from "../../bench/gpu/result.ts";
import { readReport, writeReport } from "../../bench/gpu/result.ts";
import { runProgram } from "../../bench/gpu/run.ts";
import type { Stage } from "../../bench/gpu/stage.ts";
import { runStage } from "../../bench/gpu/stage.ts";
import { reportTable } from "../../bench/gpu/table.ts";
import { machine } from "../../bench/measure.ts";
import { randomRows } from "../../bench/model.ts";
import { replaceBlock } from "../../bench/page.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { loadModel } from "../../engine/model/model.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { isSkipped } from "../support/open-devices.ts";

const node = (script: string) => ({ file: process.execPath, args: ["-e", script] });

describe("a program", () => {
  test("gives the result of its last RESULT line", async () => {
    const ending = await runProgram(
      node(`console.log("RESULT 1"); console.log("RESULT {\\"a\\": 2}"); console.log("end")`),
      20,
    );
    expect(ending).toStrictEqual({ status: "ok", result: { a: 2 } });
  });

  test("that fails says why, by the last lines of its errors", async () => {
    const ending = await runProgram(
      { ...node(`console.error("no such GPU"); process.exit(3)`), onError: () => {} },
      20,
    );
    expect(ending).toStrictEqual({ status: "failed", why: "exit code 3.\nno such GPU" });
    expect(await runProgram(node("0"), 20)).toMatchObject({ status: "failed" });
    expect(await runProgram({ file: "/nowhere/python", args: [] }, 20)).toMatchObject({ status: "failed" });
  });

  test("that does not end is ended, with what it has started", async () => {
    const child = `require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });`;
    // The grandchild holds our end of the pipe: this returns only once it is gone too.
    expect(await runProgram(node(child), 0.5)).toMatchObject({ status: "timed out" });
  });
});

describe("a stage", () => {
  const stage: Stage = {
    name: "s",
    limit: 10,
    needs: 3e9,
    run: (limit) => Promise.resolve({ status: "ok", result: limit }),
  };
  const fine = { opened: true, gpu: null, secondsLeft: 100, freeMb: 4000 };

  test("runs within its own limit and what is left of the run's", async () => {
    expect(await runStage(stage, fine)).toMatchObject({ status: "ok", result: 10 });
    expect(await runStage(stage, { ...fine, secondsLeft: 7 })).toMatchObject({ status: "ok", result: 7 });
  });

  test.each([
    [{ opened: false }, "The device did not open as it should."],
    [{ secondsLeft: 4 }, "No time was left."],
    [{ freeMb: 2000 }, "It needs about 3000 MB, and 2000 MB are free."],
  ])("is skipped where it cannot end well: %o", async (change, why) => {
    expect(await runStage(stage, { ...fine, ...change })).toMatchObject({ status: "skipped", why });
  });
});

test("the placement of operations is read from TensorFlow's log", () => {
  const count = countPlacements();
  const line = (name: string, device: string) =>
    `I0000 00:00:1795891677.239485 31145 execute.cc:1775] Executing op ${name} in device /job:localhost/replica:0/task:0/device:${device}`;
  for (const text of [line("Mul", "GPU:0"), line("Mul", "GPU:0"), line("Cast", "GPU:0"), line("Cast", "CPU:0"), "x"]) {
    count.line(text);
  }
  const placements = count.placements();
  expect(placements).toStrictEqual([
    { operation: "Cast", runs: { "GPU:0": 1, "CPU:0": 1 } },
    { operation: "Mul", runs: { "GPU:0": 2 } },
  ]);
  expect(onCpu(placements)).toStrictEqual(["Cast"]);
});

test("a model made in memory trains like one from files", async () => {
  const folder = modelInMemory(await configNamed("tiny"), "BF16");
  const device = createPlainDevice();
  const model = await loadModel(folder, fillingDevice(device, folder), "rademacher");
  const before = await model.digest();
  const losses = await model.losses(randomRows(512, 1, 4, 2));
  for (const loss of losses) expect(loss).toBeCloseTo(Math.log(512), 0);
  model.update([{ seed: 1n, scalar: 2 ** -4 }]);
  expect(await model.digest()).not.toBe(before);
});

const stages: StageReport[] = [
  { name: "open", status: "ok", seconds: 3, result: { device: "TensorFlow on GPU" } },
  {
    name: "bits of a log",
    status: "ok",
    seconds: 2,
    result: {
      reference: "plain",
      updates: 9,
      cases: [
        { dtype: "F32", noise: "normal", expected: "a", seen: "a" },
        { dtype: "BF16", noise: "normal", expected: "a", seen: "b" },
      ],
    },
  },
  {
    name: "placement",
    status: "ok",
    seconds: 1,
    result: [
      { operation: "Cast", runs: { "CPU:0": 1 } },
      { operation: "Mul", runs: { "GPU:0": 1 } },
    ],
  },
  { name: "conformance", status: "timed out", why: "It did not end within 9 s.", seconds: 9, result: null },
  {
    name: "step of opt-1.3b",
    status: "ok",
    seconds: 30,
    gpuMemory: { before: 500, peak: 4500 },
    result: {
      options: { config: "opt-1.3b", dtype: "BF16", multiply: "bfloat16", batch: 16, tokens: 256 },
      memory: { bare: 1, loaded: 2, peak: 3, weights: 2632 },
      step: { median: 0.5 },
      stepOverForwards: 1.1,
      gflopPerSecond: 90_000,
    },
  },
  {
    name: "torch, opt-1.3b",
    status: "ok",
    seconds: 20,
    result: {
      labelled: { median: 1 },
      everyPosition: { median: 1.5 },
      peakMb: 6000,
      weightsMb: 2632,
      gigaUpdatesPerSecond: 40,
    },
  },
  { name: "step of opt-13b", status: "skipped", why: "It needs about 30000 MB | more.", seconds: 0, result: null },
  {
    name: "replay",
    status: "ok",
    seconds: 9,
    result: { rates: [{ dtype: "BF16", noise: "normal", entries: 9, seconds: 3, gigaUpdatesPerSecond: 80 }] },
  },
];

const report: GpuReport = {
  bench: "gpu",
  schema: 1,
  started: "2026-11-28T19:00:00.000Z",
  device: "tfjs-tensorflow",
  tiny: false,
  machine: machine(),
  gpu: { name: "NVIDIA H200", driver: "570.1", computeCapability: "9.0", memoryMb: 150_000 },
  stages,
};

test("a report is read again, and shown in its page between the markers", async () => {
  const folder = await scratch();
  const [file, page] = [join(folder, "gpu.json"), join(folder, "page.md")];
  await writeReport(file, report);
  const read = await readReport(file);
  expect(read).toStrictEqual(report);
  const table = reportTable(read);
  expect(table).toContain("NVIDIA H200, compute capability 9.0, 150 GB, driver 570.1");
  expect(table).toMatch(/bits of a log +\| ok +\| 2\.00 \| DIFFERENT from plain: BF16 normal/u);
  expect(table).toMatch(/2 operations; on the CPU: Cast /u);
  expect(table).toMatch(/conformance +\| timed out +\| 9\.00 \| It did not end within 9 s\./u);
  expect(table).toMatch(
    /16 x 256 +\| 2632 +\| 0\.500 \| 1\.10 +\| 90\.0 +\| 1\.00 \(2\.00\) +\| 1\.50 \(3\.00\) +\| 4000 \| 6000/u,
  );
  expect(table).toMatch(/step of opt-13b +\| skipped +\| 0\.00 \| It needs about 30000 MB \/ more\./u);
  expect(table).toMatch(/torch, BF16 +\| normal \| 40\.0/u);

  await writeFile(
    page,
    "before\n<!-- made -->\nold\n<!-- end of results -->\nmiddle\n<!-- end of results -->\nafter\n",
  );
  await replaceBlock(page, "made", table);
  const text = await readFile(page, "utf8");
  expect(text).toBe(
    `before\n<!-- made -->\n\n${table}\n\n<!-- end of results -->\nmiddle\n<!-- end of results -->\nafter\n`,
  );
});

test("a file that is no report of this version is refused with the reason", async () => {
  const file = join(await scratch(), "gpu.json");
  await expect(readReport(file)).rejects.toThrow(/cannot be read/u);
  await writeFile(file, JSON.stringify({ ...report, schema: 2 }));
  await expect(readReport(file)).rejects.toThrow(/schema 1 \(schema: /u);
});

/** Half a minute, and only where libtensorflow is: CI installs it. */
const long = Boolean(process.env["STEPLOG_LONG_TESTS"]);
test.skipIf(!long || (await isSkipped("tfjs-tensorflow")))(
  "bench/gpu.sh --tiny ends with every stage that this machine allows",
  { timeout: 300_000 },
  async () => {
    const out = join(await scratch(), "gpu.json");
    const { code, stdout, stderr } = await gpuBench(["--tiny", "--out", out]);
    const { stages } = await readReport(out);
    expect({ code, stderr: code === 0 ? "" : stderr }).toStrictEqual({ code: 0, stderr: "" });
    // A Python that is named has torch.
    const mayBeSkipped = process.env["STEPLOG_PYTHON"] === undefined ? ["torch, tiny"] : [];
    const others = stages.filter(({ name, status }) => !(status === "skipped" && mayBeSkipped.includes(name)));
    expect(others.map(({ name, status }) => [name, status])).toStrictEqual(others.map(({ name }) => [name, "ok"]));
    expect(stages.length).toBeGreaterThan(5);
    expect(stdout).toMatch(/digests equal those of plain TypeScript/u);
  },
);

/** The command itself, which compiles only what has changed. */
function gpuBench(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, STEPLOG_TEST_SEED: "1" };
  return new Promise((resolve) => {
    const child = execFile(packagePath("bench/gpu.sh"), args, { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
