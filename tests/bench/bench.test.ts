/** Benchmarks count correctly, notice a busy machine, and run end to end on a small model. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { LoadResult } from "../../bench/load.ts";
import type { PeersResult } from "../../bench/peers.ts";
import type { ScalingResult } from "../../bench/scaling.ts";
import type { StepResult } from "../../bench/step.ts";
import { summarise } from "../../bench/measure.ts";
import { randomRows } from "../../bench/model.ts";
import { workOf } from "../../bench/work.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { nativeAddon } from "../../engine/native/addon.ts";
import { randomModel, scratch, tinyConfig } from "../support/models.ts";
import { bench } from "./program.ts";

function nativeIsHere(): boolean {
  try {
    return nativeAddon().instructionSets().length > 0;
  } catch {
    return false;
  }
}

describe("the work of a pass", () => {
  const { hidden_size: hidden, ffn_dim: inner, vocab_size: vocab } = tinyConfig;

  test("counts its products: rows still needed, pairs up to the diagonal, labelled rows", async () => {
    const folder = await openModelFolder(await randomModel());
    const rows = randomRows(vocab, 3, 10, 4);
    const { flops } = await workOf(folder, rows);
    // The last token of a row is never read: nothing is predicted from it.
    const [seen, labelled, pairs] = [3 * 9, 3 * 4, (3 * (9 * 10)) / 2];
    const attention = 4 * hidden * pairs;
    const first = 2 * seen * (4 * hidden * hidden + 2 * hidden * inner) + attention;
    const last = 2 * seen * 3 * hidden * hidden + attention + 2 * labelled * (hidden * hidden + 2 * hidden * inner);
    expect(flops).toBe(first + last + 2 * labelled * vocab * hidden);
  });

  test("reads each matrix once, and only the rows of a table that it looks up", async () => {
    const path = await randomModel("BF16");
    const folder = await openModelFolder(path);
    const { weightBytes } = await workOf(folder, randomRows(vocab, 1, 2, 1));
    const stored = folder.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    const positions = folder.tensors.find(({ name }) => name.endsWith("embed_positions.weight"))?.bytes ?? 0;
    // The table of tokens is the head as well, and as such read whole; one row of each table is looked up.
    expect(weightBytes).toBe(stored - positions + 2 * (2 * hidden));
  });
});

describe("a summary", () => {
  const sample = (seconds: number, foreignCores = 0) => ({ seconds, foreignCores });

  test("is of the quiet samples alone", () => {
    const samples = [sample(1), sample(9, 0.5), sample(2), sample(4)];
    expect(summarise(samples)).toStrictEqual({ median: 2, min: 1, max: 4, samples: 4, quiet: 3 });
  });

  test("is of all, and says so, when fewer than three were quiet", () => {
    expect(summarise([sample(1), sample(9, 0.5), sample(3, 1)])).toMatchObject({ median: 3, max: 9, quiet: 1 });
  });
});

test("bench step prints one JSON object", { timeout: 60_000 }, async () => {
  const small = ["--config", "tiny", "--device", "plain", "--batch", "2", "--tokens", "8", "--steps", "3"];
  const { status, stdout } = bench(["step", ...small, "--labels", "2", "--dtype", "bf16", "--json"], await scratch());
  expect(status).toBe(0);
  const result = JSON.parse(stdout) as StepResult;
  expect(result).toMatchObject({ bench: "step", device: "plain: plain TypeScript", step: { samples: 3 } });
  for (const value of [result.step.median, result.forward.median, result.gflopPerSecond, result.firstStep]) {
    expect(value).toBeGreaterThan(0);
  }
});

test("bench load compares loading with reading", { timeout: 60_000 }, async () => {
  const args = ["load", "--config", "tiny", "--device", "plain", "--rounds", "2", "--json"];
  const { status, stdout, stderr } = bench(args, await scratch());
  expect({ status, stderr: status === 0 ? "" : stderr }).toStrictEqual({ status: 0, stderr: "" });
  const result = JSON.parse(stdout) as LoadResult;
  expect(result).toMatchObject({ bench: "load", device: "plain: plain TypeScript", load: { samples: 2 } });
  const { read, load, process, firstStep, loadOverRead } = result;
  for (const { median } of [read, load, firstStep]) expect(median).toBeGreaterThan(0);
  expect(process.median).toBeGreaterThan(load.median);
  expect(loadOverRead).toBeCloseTo(load.median / read.median, 9);
});

test(
  "bench scaling measures the native device's threads, and explains wrong settings",
  { timeout: 60_000 },
  async () => {
    const small = ["--config", "tiny", "--batch", "2", "--tokens", "8", "--entries", "3", "--rounds", "3", "--json"];
    const folder = await scratch();
    const plain = bench(["scaling", ...small, "--device", "plain"], folder);
    expect(plain).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^INVALID_ARGUMENT: .*native.*plain/u) as string,
    });
    const many = bench(["scaling", ...small, "--threads", "64"], folder);
    expect(many.stderr).toMatch(/^INVALID_ARGUMENT: .*UV_THREADPOOL_SIZE=64/u);
    if (!nativeIsHere()) return;
    for (const subject of ["step", "replay"]) {
      const args = ["scaling", ...small, "--subject", subject, "--device", "native", "--threads", "2"];
      const { status, stdout, stderr } = bench(args, folder);
      expect({ status, stderr: status === 0 ? "" : stderr }).toStrictEqual({ status: 0, stderr: "" });
      const result = JSON.parse(stdout) as ScalingResult;
      expect(result).toMatchObject({ bench: "scaling", threads: 2, one: { samples: 3 }, sideBySide: { samples: 3 } });
      for (const value of [result.all.median, result.speedup, result.sideBySideGain]) expect(value).toBeGreaterThan(0);
    }
  },
);

test("a wrong option is reported with the allowed values", async () => {
  const { status, stderr } = bench(["step", "--config", "nope"], await scratch());
  expect(status).toBe(1);
  expect(stderr).toMatch(/^INVALID_ARGUMENT: There is no config nope\. .*opt-125m/u);
});

/** Replaces a Python script; everything it measures takes a minute. */
const peer = `console.log("warming up");
console.log("RESULT " + JSON.stringify({ step: { median: 60, min: 50 }, peak_rss_steps_mb: 1000, source: process.argv[3],
  machine: { torch: "9.9" } }));`;

test("bench peers measures both in turn, and a chart shows the ratios", { timeout: 60_000 }, async () => {
  const folder = await scratch();
  for (const script of ["mezo_step.py", "replay.py"]) await writeFile(join(folder, script), peer);
  const out = join(folder, "peers.json");
  const shapes = ["--config", "tiny", "--device", "plain", "--batch", "1", "--tokens", "4", "--steps", "1"];
  const programs = ["--peers", folder, "--python", process.execPath, "--variants", "fast-f32", "--replays", "fused"];
  const plain = ["--multiply", "float32", "--entries", "1"];
  expect(bench(["peers", ...shapes, ...programs, ...plain, "--out", out], folder)).toMatchObject({ status: 0 });
  const { contenders } = JSON.parse(await readFile(out, "utf8")) as PeersResult;
  expect(contenders.map(({ group, name }) => `${group} ${name}`)).toStrictEqual([
    "step Steplog f32",
    "step Steplog f32, every token scored",
    "step Steplog bf16",
    "step Steplog bf16, every token scored",
    "replay Steplog f32",
    "replay Steplog f32, rademacher",
    "step fast-f32",
    "replay fused",
  ]);
  expect(contenders.at(-1)).toMatchObject({ seconds: 60, min: 50, peakMemory: 1048.576, about: "torch 9.9, fused" });

  const page = join(folder, "page.md");
  const svg = join(folder, "chart.svg");
  const marked = (text: string) =>
    `before\n<!-- results: made by npm run bench -- chart -->\n${text}\n<!-- end of results -->\nafter\n`;
  await writeFile(page, marked("old"));
  expect(bench(["chart", out, "--svg", svg, "--page", page], folder).status).toBe(0);
  expect(await readFile(svg, "utf8")).toMatch(/^<svg [\s\S]*fused[\s\S]* times ours\)[\s\S]*<\/svg>\n$/u);
  const text = await readFile(page, "utf8");
  expect(text).toMatch(/^before\n[\s\S]*\| fast-f32 [\s\S]*\nafter\n$/u);
  expect(text).not.toContain("old");
  await writeFile(page, "no markers");
  expect(bench(["chart", out, "--svg", svg, "--page", page], folder).stderr).toContain("needs the lines");
});
