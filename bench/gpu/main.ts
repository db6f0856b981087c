/**
 * bench/gpu.sh: what a GPU worker does on this machine, in under eight minutes and without a network. Stages run in turn, each
 * in a process of its own with a time limit; the report is written after each. docs/GPU.md shows the last one.
 */
import { Command } from "commander";
import { rm } from "node:fs/promises";
import { packagePath } from "../../schema/package.ts";
import { machine } from "../measure.ts";
import { replaceBlock } from "../page.ts";
import { runProgram } from "../run-program.ts";
import { memoryTable } from "./memory-table.ts";
import { findGpu, freeMemoryMb } from "./nvidia.ts";
import type { StageReport } from "./result.ts";
import { readReport, reportOf, writeReport } from "./result.ts";
import { runStage } from "./stage.ts";
import type { StageOptions } from "./stages.ts";
import { stagesOf } from "./stages.ts";
import { reportTable, stageLine } from "./table.ts";

interface Options extends StageOptions {
  readonly out: string;
  readonly minutes: string;
  readonly spent: string;
  readonly table?: string;
  readonly memory?: true;
  readonly page: string;
}

const program = new Command("bench/gpu.sh")
  .description("Measures a GPU worker on this machine and writes one JSON file.")
  .option("--out <file>", "the report", "gpu.json")
  .option("--device <name>", "compute device", "tfjs-tensorflow")
  .option("--python <path>", "a Python with torch, to compare with", process.env["STEPLOG_PYTHON"] ?? "python3")
  .option("--minutes <number>", "limit of the whole run", "7.5")
  .option("--spent <seconds>", "what it has already taken, by the build", "0")
  .option("--tiny", "small shapes, to see that it works; also without a GPU", false)
  .option("--table <file>", "measure nothing: write the tables of a report into the page")
  .option("--memory", "measure nothing: count the memory of models, and write the table into the page")
  .option("--page <file>", "the page of --table and --memory", packagePath("docs/GPU.md"))
  .exitOverride()
  .action(run);

async function run(options: Options): Promise<void> {
  const { table, memory, page } = options;
  if (table !== undefined) await writeTable(table, page);
  else if (memory) await replaceBlock(page, "memory: made by bench/gpu.sh --memory", await memoryTable());
  else await measure(options);
}

async function measure(options: Options): Promise<void> {
  const started = performance.now();
  const seconds = 60 * Number(options.minutes) - Number(options.spent);
  const secondsLeft = () => seconds - (performance.now() - started) / 1000;
  const gpu = findGpu();
  const { device, tiny } = options;
  const about = { device, tiny, machine: machine(), gpu, started: new Date().toISOString() };
  const stages: StageReport[] = [];
  const report = reportOf(about, stages);
  await rm(options.out, { force: true });
  for (const stage of await stagesOf(options)) {
    const opened = stages[0] === undefined || stages[0].status === "ok";
    const done = await runStage(stage, { opened, gpu, secondsLeft: secondsLeft(), freeMb: freeMemoryMb(gpu) });
    stages.push(done);
    await writeReport(options.out, report);
    console.error(stageLine(done));
  }
  console.log(reportTable(report));
  const bad = stages.some(({ status }) => status === "failed" || status === "timed out");
  if (bad || stages[0]?.status !== "ok") process.exitCode = 1;
}

async function writeTable(file: string, page: string): Promise<void> {
  await replaceBlock(page, "results: made by bench/gpu.sh --table", reportTable(await readReport(file)));
}

await runProgram(program);
