/** bench/gpu.sh fails where what it measured is wrong: other bits, failed tests, a processor in place of a GPU. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { BitsResult } from "../../bench/gpu/bits.ts";
import { compareBits } from "../../bench/gpu/bits.ts";
import type { GpuReport, StageReport } from "../../bench/gpu/result.ts";
import { readReport } from "../../bench/gpu/result.ts";
import { runProgram } from "../../bench/gpu/run.ts";
import { runStage } from "../../bench/gpu/stage.ts";
import { stagesOf } from "../../bench/gpu/stages.ts";
import { reportTable } from "../../bench/gpu/table.ts";
import { machine } from "../../bench/measure.ts";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { programPath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { pathWithNvidiaSmi } from "../support/nvidia-smi.ts";
import { isSkipped } from "../support/open-devices.ts";

const gpu = { name: "NVIDIA H200", driver: "570.1", computeCapability: "9.0", memoryMb: 150_000 };

/** What is reported of a stage that ends with this result, on a machine with a GPU. */
async function judged(name: string, result: unknown, device = "tfjs-tensorflow"): Promise<StageReport> {
  const stages = await stagesOf({ device, python: "python3", tiny: true });
  const stage = stages.find((each) => each.name === name);
  if (!stage) throw new Error(`there is a stage ${name}`);
  const ended = { ...stage, run: () => Promise.resolve({ status: "ok", result } as const) };
  const report = await runStage(ended, { opened: true, gpu, secondsLeft: 100, freeMb: 1e6 });
  const { gpuMemory: _, ...rest } = report;
  return rest;
}

const ok = (name: string, result: unknown) => ({ name, status: "ok", result, seconds: expect.any(Number) as number });

/** The plain device, except that the weights of one dtype have one other bit. */
function wrongFor(dtype: string): Device {
  const plain = createPlainDevice();
  return {
    ...plain,
    async readWeight(weight) {
      const bytes = Uint8Array.from(await plain.readWeight(weight));
      if (weight.dtype === dtype) bytes[7] = (bytes[7] ?? 0) ^ 1;
      return bytes;
    },
  };
}

test("a digest that differs fails its stage, which says where", async () => {
  const right = await compareBits(createPlainDevice(), 300);
  expect(right.cases).toHaveLength(4);
  expect(await judged("bits of a log", right)).toStrictEqual(ok("bits of a log", right));
  const wrong = await compareBits(wrongFor("BF16"), 300);
  const report = await judged("bits of a log", wrong);
  const why = `DIFFERENT from ${wrong.reference}: BF16 normal, BF16 rademacher`;
  expect(report).toMatchObject({ status: "failed", why, result: wrong });
  expect(tableOf(report)).toContain(why);
});

test("a report in which that stage was taken for ok says so, too", () => {
  const cases = [{ dtype: "F32", noise: "normal", expected: "a", seen: "b" }] as const;
  const result: BitsResult = { reference: "plain", updates: 9, cases };
  expect(tableOf({ name: "bits of a log", status: "ok", seconds: 1, result })).toContain(
    "DIFFERENT from plain: F32 normal",
  );
});

/** A vitest whose report is this. */
async function conformanceOf(tests: Readonly<Record<string, "passed" | "failed">>, exitCode: number) {
  const statuses = Object.values(tests);
  const report = {
    numPassedTests: statuses.filter((status) => status === "passed").length,
    numFailedTests: statuses.filter((status) => status === "failed").length,
    testResults: [{ assertionResults: Object.entries(tests).map(([fullName, status]) => ({ fullName, status })) }],
  };
  const vitest = join(await scratch(), "vitest.mjs");
  const script = `
    import { writeFileSync } from "node:fs";
    const [, file] = process.argv.join(" ").split("--outputFile=");
    writeFileSync(file, ${JSON.stringify(JSON.stringify(report))});
    process.exitCode = ${exitCode};`;
  await writeFile(vitest, script);
  const ending = await runProgram(
    { file: process.execPath, args: [programPath("bench/gpu/conformance"), vitest, "a suite", "a pattern"] },
    20,
  );
  return judged("conformance", "result" in ending ? ending.result : ending);
}

test("a failed test of the conformance suite fails its stage, and so does a vitest that fails otherwise", async () => {
  const passed = { passed: 2, failed: [] };
  expect(await conformanceOf({ "a update": "passed", "b loss": "passed" }, 0)).toStrictEqual(ok("conformance", passed));
  const failed = await conformanceOf({ "a update": "passed", "b loss": "failed" }, 1);
  expect(failed).toMatchObject({ status: "failed", why: "1 passed, 1 FAILED: b loss", result: { passed: 1 } });
  expect(await conformanceOf({ "a update": "passed" }, 1)).toMatchObject({
    status: "failed",
    why: expect.stringMatching(/1 FAILED: .*exit status 1/u) as string,
  });
});

test("a device that opens on the processor of a machine with a GPU fails, unless it was asked for", async () => {
  const opening = { device: "TensorFlow on CPU", precisions: ["float32"], onGpu: false };
  const report = await judged("open", opening);
  expect(report).toMatchObject({ status: "failed", result: opening });
  expect(report.why).toMatch(/has a GPU \(NVIDIA H200\).*on the processor: TensorFlow on CPU.*install tfjs-gpu/u);
  expect((await judged("open", opening, "tfjs-cpu")).status).toBe("ok");
  for (const onGpu of [true, null]) expect((await judged("open", { ...opening, onGpu })).status).toBe("ok");
});

/** The whole command, as compiled. */
function measure(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number; stderr: string }> {
  const program = [programPath("bench/gpu/main"), "--tiny", ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, program, { env: { ...process.env, ...env } }, (_error, _stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stderr }),
    );
  });
}

test.each([
  ["a device that does not open", ["--device", "no-such-device"], "failed"],
  ["a build that took all of its time", ["--device", "plain", "--minutes", "2", "--spent", "117"], "skipped"],
])("%s ends it with an exit code that is not 0, and nothing more is measured", async (_, args, status) => {
  const out = join(await scratch(), "gpu.json");
  expect((await measure([...args, "--out", out])).code).toBe(1);
  const [opening, ...others] = (await readReport(out)).stages;
  expect(opening?.status).toBe(status);
  expect(others.length).toBeGreaterThan(5);
  expect(new Set(others.map((stage) => stage.status))).toStrictEqual(new Set(["skipped"]));
});

test.skipIf(await isSkipped("tfjs-tensorflow"))(
  "nvidia-smi names a GPU that TensorFlow does not use: the command fails, and says so",
  { timeout: 60_000 },
  async () => {
    const out = join(await scratch(), "gpu.json");
    const driver = `case "$1" in
      *=name,*) echo "NVIDIA H200, 570.1, 9.0, 143771" ;;
      *) echo 143771 ;;
    esac`;
    // A GPU that this machine may have is hidden from TensorFlow.
    const env = { PATH: await pathWithNvidiaSmi(driver), CUDA_VISIBLE_DEVICES: "" };
    const { code, stderr } = await measure(["--out", out], env);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^open +failed, .*This machine has a GPU \(NVIDIA H200\)/mu);
    const { gpu: found, stages } = await readReport(out);
    expect(found?.name).toBe("NVIDIA H200");
    expect(stages.map(({ status }) => status).filter((status) => status !== "skipped")).toStrictEqual(["failed"]);
  },
);

function tableOf(stage: StageReport): string {
  const about = { started: "2026-11-28T19:00:00.000Z", device: "tfjs-tensorflow", tiny: true, machine: machine() };
  const report: GpuReport = { bench: "gpu", schema: 1, ...about, gpu, stages: [stage] };
  return reportTable(report);
}
