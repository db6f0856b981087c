/** npm run -s bench -- COMMAND: measures Steplog on this machine. bench/README.md explains how to measure well. */
import { Command, InvalidArgumentError, Option } from "commander";
import { writeFile } from "node:fs/promises";
import { deviceNames } from "../engine/devices/choose.ts";
import type { Precision } from "../engine/devices/device.ts";
import type { AutoOptions } from "./auto.ts";
import { autoTable, benchAuto } from "./auto.ts";
import { type PageOptions, benchPage, pageLines } from "./browser/page-speed.ts";
import type { ChartOptions } from "./chart.ts";
import { chart } from "./chart.ts";
import { type DrainOptions, benchDrain, drainLines } from "./drain.ts";
import type { EstimatorOptions } from "./estimators.ts";
import { benchEstimators, estimatorTable } from "./estimators.ts";
import { type ForetoldOptions, benchForetold, foretoldTable, usualRuns } from "./foretold.ts";
import type { GenerateOptions } from "./generate.ts";
import { benchGenerate } from "./generate.ts";
import type { GemmOptions } from "./gemm.ts";
import { benchGemm } from "./gemm.ts";
import type { Contender, LearningOptions } from "./learning.ts";
import { benchLearning, usualContenders } from "./learning.ts";
import type { LearningChartOptions } from "./learning-chart.ts";
import { chartLearning } from "./learning-chart.ts";
import { contenderOf, seedsOf } from "./learning-options.ts";
import { learningTable } from "./learning-table.ts";
import type { LlamaOptions } from "./llama/llama.ts";
import { benchLlama } from "./llama/llama.ts";
import type { LoadOptions } from "./load.ts";
import { benchLoad } from "./load.ts";
import type { NoiseOptions } from "./noise.ts";
import { benchNoise } from "./noise.ts";
import type { PeerOptions } from "./peers.ts";
import { benchPeers } from "./peers.ts";
import { type QueueOptions, benchQueue, queueLines } from "./queue.ts";
import type { RebuildOptions } from "./rebuild.ts";
import { benchRebuild } from "./rebuild.ts";
import type { ReplayOptions } from "./replay.ts";
import { benchReplay } from "./replay.ts";
import type { AnyResult } from "./report.ts";
import { lines, report } from "./report.ts";
import { runProgram } from "./run-program.ts";
import type { ScalingOptions } from "./scaling.ts";
import { benchScaling } from "./scaling.ts";
import type { BesideOptions } from "./serve/beside.ts";
import { benchBeside } from "./serve/beside.ts";
import type { ColdOptions } from "./serve/cold.ts";
import { benchCold } from "./serve/cold.ts";
import type { ManyOptions } from "./serve/many.ts";
import { benchMany } from "./serve/many.ts";
import type { ServeOptions } from "./serve/serve.ts";
import { benchServe } from "./serve/serve.ts";
import type { WakeOptions } from "./serve/wake.ts";
import { benchWake } from "./serve/wake.ts";
import type { StepOptions } from "./step.ts";
import { benchStep } from "./step.ts";
import { type StepsOptions, benchSteps, stepsLines } from "./steps.ts";
import { type SubscribersOptions, benchSubscribers, subscribersLines } from "./subscribers/subscribers.ts";

/** Options of every measuring command. */
interface Output {
  readonly json?: true;
  readonly out?: string;
}

interface Settings {
  readonly settings?: readonly Contender[];
}

type LearningFlags = Omit<LearningOptions, "contenders"> & Settings & Output;

type ServeFlags = ServeOptions &
  ColdOptions &
  BesideOptions &
  Omit<ManyOptions, "many"> &
  Output & { readonly cold?: true; readonly beside?: true; readonly many?: number };

const program = new Command("bench").description("Measure Steplog on this machine.").exitOverride();

measuring("step", "MeZO steps of a random model, compared with forward passes alone")
  .addOption(config())
  .addOption(count("--batch", "rows per step", 16))
  .addOption(count("--tokens", "tokens per row", 128))
  .addOption(labels())
  .addOption(dtype())
  .addOption(multiply())
  .addOption(noise())
  .addOption(count("--steps", "measured steps, after a first one", 7))
  .action((options: StepOptions & Output) => run(options, benchStep));

measuring("replay", "log entries applied in memory to as many elements as a model has")
  .addOption(config())
  .addOption(count("--entries", "entries of the log", 100))
  .addOption(dtype())
  .addOption(noise())
  .addOption(count("--runs", "measured runs", 3))
  .action((options: ReplayOptions & Output) => run(options, benchReplay));

measuring("rebuild", "a model rebuilt on disk from a log, compared with the time predicted from the speed of replay")
  .addOption(config())
  .addOption(count("--entries", "entries of the log", 1000))
  .addOption(dtype())
  .addOption(noise())
  .action((options: RebuildOptions & Output) => run(options, benchRebuild));

measuring("load", "time from a new process to a loaded model and its first step, compared with reading the same bytes")
  .addOption(config())
  .addOption(dtype())
  .addOption(count("--rounds", "measured rounds, after a first one", 5))
  .action((options: LoadOptions & Output) => run(options, benchLoad));

measuring("drain", "short runs in a queue, drained by workers, compared with a long run on each of them")
  .addOption(count("--runs", "runs in the queue", 200))
  .addOption(count("--steps", "steps of each", 100))
  .addOption(count("--batch", "rows per step", 16))
  .addOption(count("--workers", "workers, each with one thread unless told otherwise", 2))
  .action((options: DrainOptions & Output) => runAndShow(options, benchDrain, (result) => lines(drainLines(result))));

measuring("foretold", "what is foretold of runs (estimateFineTune), divided by what they then take")
  .option("--config <name>", "a config of random weights, and rows of random tokens; the demo by default")
  .option("--settings <json>", "a run: name and settings (repeatable)", contenderOf)
  .option("--followed", "have a command line follow each run")
  .addOption(count("--rounds", "times that each run is made", 3))
  .action(({ settings = usualRuns, ...options }: Omit<ForetoldOptions, "runs"> & Settings & Output) =>
    runAndShow({ ...options, runs: settings }, benchForetold, foretoldTable),
  );

measuring("generate", "greedy continuation, token by token, compared with a copy of memory")
  .addOption(config())
  .addOption(dtype())
  .addOption(multiply())
  .addOption(count("--sequences", "sequences decoded together", 1))
  .addOption(count("--prompt", "tokens of the prompt", 64))
  .addOption(count("--tokens", "tokens generated after the first", 64))
  .addOption(count("--runs", "measured runs", 3))
  .action((options: GenerateOptions & Output) => run(options, benchGenerate));

measuring("gemm", "one linear layer, both sides with noise")
  .addOption(count("--rows", "rows of one side", 2048))
  .addOption(count("--inputs", "columns of x", 768))
  .addOption(count("--outputs", "columns of the product", 3072))
  .addOption(dtype())
  .addOption(multiply())
  .addOption(noise("none"))
  .addOption(count("--runs", "measured runs", 20))
  .action((options: GemmOptions & Output) => run(options, benchGemm));

measuring("noise", "the noise of the native device alone")
  .addOption(count("--elements", "elements of noise", 2 ** 24))
  .addOption(noise())
  .addOption(count("--runs", "measured runs", 10))
  .action((options: NoiseOptions & Output) => run(options, benchNoise));

measuring(
  "scaling",
  "one thread compared with all threads, and with as many single-thread devices, each with its own model",
)
  .addOption(new Option("--subject <name>", "what to run").choices(["step", "replay"]).default("step"))
  .addOption(config())
  .addOption(count("--batch", "rows per step", 16))
  .addOption(count("--tokens", "tokens per row, of which the last 8 are scored", 128))
  .addOption(count("--entries", "entries of the replayed log", 100))
  .addOption(dtype())
  .addOption(multiply())
  .addOption(noise())
  .addOption(count("--rounds", "measured rounds, after a first one", 7))
  .action((options: ScalingOptions & Output) => run(options, benchScaling));

measuring("peers", "Steplog and other programs, in turn, in one run")
  .requiredOption("--peers <folder>", "folder of the other programs, mezo_step.py and replay.py (bench/README.md)")
  .option("--python <path>", "a Python with the packages that they import", "python3")
  .option("--variants <list>", "variants of mezo_step.py", list, [
    "mezo-f32",
    "compile-f32",
    "mezo-bf16",
    "compile-bf16",
  ])
  .option("--replays <list>", "variants of replay.py", list, ["mezo", "threaded", "fused"])
  .addOption(config())
  .addOption(count("--batch", "rows per step", 16))
  .addOption(count("--tokens", "tokens per row, all scored", 128))
  .addOption(multiply("bfloat16"))
  .addOption(count("--steps", "measured steps", 7))
  .addOption(count("--entries", "entries of the replayed log", 20))
  .addOption(count("--rounds", "measured rounds", 1))
  .action((options: PeerOptions & Output) => run(options, benchPeers));

measuring("serve", "the service compared with the engine alone, and clients that ask at once")
  .addOption(config())
  .addOption(dtype())
  .addOption(count("--prompt", "tokens of each prompt", 64))
  .addOption(count("--tokens", "tokens generated after the first", 64))
  .addOption(count("--clients", "clients at once", 8))
  .addOption(count("--rounds", "measured rounds", 9))
  .option("--cold", "instead: the first token of checkpoints that nobody has asked yet, as many as rounds")
  .addOption(count("--adapter-steps", "with --cold: steps between two checkpoints of an adapter", 32))
  .addOption(count("--full-steps", "with --cold: steps between two checkpoints of all weights", 8))
  .option("--beside", "instead: clients beside a run that trains")
  .addOption(count("--batch", "with --beside: rows of a step, of 128 tokens", 4))
  .addOption(count("--seconds", "with --beside: how long each part is measured", 20))
  .addOption(count("--serve-threads", "with --beside: threads set aside for requests; by default they take turns"))
  .addOption(count("--many", "instead: this many LoRA adapters of one base, cold, warm and side by side"))
  .action(({ cold, beside, many, ...options }: ServeFlags) => {
    if (cold) return run(options, benchCold);
    if (beside) return run(options, benchBeside);
    return many === undefined ? run(options, benchServe) : run({ ...options, many }, benchMany);
  });

measuring("wake", "the first step of a run, in a service whose worker is asleep, and awake; memory")
  .addOption(count("--rounds", "measured rounds", 3))
  .action((options: WakeOptions & Output) => run(options, benchWake));

reporting("subscribers", "clients of one gateway that follow runs, some slow, some stalled: the delay of a step")
  .addOption(count("--subscribers", "clients", 1000))
  .addOption(share("--slow", "percent of them that read for 50 ms of each second", 5))
  .addOption(share("--stalled", "percent of them that never read", 5))
  .addOption(share("--sse", "percent of them that use server-sent events; the others use WebSockets", 50))
  .addOption(count("--runs", "runs that they follow", 1))
  .addOption(count("--updates", "commits per second of each run", 10))
  .addOption(count("--steps", "steps of a commit", 1))
  .addOption(count("--seconds", "how long the runs train", 20))
  .addOption(count("--processes", "processes of subscribers", 2))
  .action((options: SubscribersOptions & Output) =>
    runAndShow(options, benchSubscribers, (result) => lines(subscribersLines(result))),
  );

reporting("steps", "a store of many steps: what lists, charts, logs and a new run take there, and its size")
  .addOption(count("--steps", "steps of all runs together", 10_000_000))
  .addOption(count("--runs", "runs that have them", 100))
  .addOption(count("--requests", "requests of each kind", 300))
  .action((options: StepsOptions & Output) => runAndShow(options, benchSteps, (result) => lines(stepsLines(result))));

reporting("queue", "many waiting runs: how long it takes to say how much work there is, and for how many workers")
  .addOption(count("--runs", "runs that wait", 50_000))
  .addOption(count("--requests", "requests of each kind", 100))
  .action((options: QueueOptions & Output) => runAndShow(options, benchQueue, (result) => lines(queueLines(result))));

reporting("page", "the web page in a headless Chromium: frames a second, first paint, bytes")
  .addOption(count("--steps", "steps of the run whose charts are shown", 100_000))
  .addOption(count("--runs", "runs in the list", 10_000))
  .addOption(count("--updates", "steps a second that the run makes meanwhile", 10))
  .addOption(count("--seconds", "how long frames are counted in each act", 10))
  .addOption(count("--rounds", "cold loads of each page", 5))
  .option("--folder <path>", "keep the list of runs here, and take it from here; making it takes minutes")
  .action((options: PageOptions & Output) => runAndShow(options, benchPage, (result) => lines(pageLines(result))));

measuring("llama", "Steplog and llama.cpp in turn, on the same weights: prompts, one text, several together")
  .requiredOption("--llama <folder>", "a folder with node-llama-cpp in its node_modules")
  .option("--python <path>", "a Python with the packages gguf and numpy", "python3")
  .addOption(config())
  .addOption(dtype())
  .addOption(multiply())
  .addOption(count("--prompt", "tokens of the prompt", 512))
  .addOption(count("--tokens", "tokens generated after the first", 48))
  .addOption(count("--sequences", "texts written together", 8))
  .addOption(count("--rounds", "measured rounds", 3))
  .action((options: LlamaOptions & Output) => run(options, benchLlama));

measuring("learning", "what runs learn from a task's rows, by forward passes and by seconds; baselines")
  .option("--task <name>", "what the page calls the task", "the demo")
  .option("--base <folder>", "the base model; the demo's by default")
  .option("--train <file>", "training rows (JSONL); the demo's by default")
  .option("--validation <file>", "validation rows; the demo's by default")
  .option("--test <file>", "test rows; none by default")
  .option("--label-words <list>", "words to choose from, separated by commas; the demo's by default", list)
  .option("--settings <json>", "a contender: name, passes if they differ, and settings (repeatable)", contenderOf)
  .addOption(count("--passes", "forward passes of a batch in each run", 9000))
  .option("--seeds <list>", "seeds of each contender, such as 1,2,3 or 1-5", seedsOf, [1, 2, 3, 4, 5])
  .addOption(count("--evaluations", "evaluations along each run", 20))
  .addOption(count("--in-context-rows", "examples of the in-context baseline, at most", 32))
  .option("--no-baselines", "measure no baselines")
  .action(({ settings = usualContenders, ...options }: LearningFlags) =>
    runAndShow({ ...options, contenders: settings }, benchLearning, (result) => learningTable([result])),
  );

program
  .command("auto")
  .description("learningRate AUTO compared with a grid of rates, on the demo's base and rows")
  .addOption(new Option("--device <name>", "compute device").choices(deviceNames).default("auto"))
  .addOption(count("--seeds", "runs per rate", 3))
  .option("--subject <text>", "measure only those whose name contains this")
  .addOption(count("--steps", "steps of every run, for a trial"))
  .option("--json", "print JSON instead of a table")
  .action(async ({ json, ...options }: AutoOptions & { json?: true }) => {
    const rows = await benchAuto(options);
    console.log(json ? JSON.stringify(rows, null, 2) : autoTable(rows));
  });

program
  .command("estimators")
  .description("gradient estimators, compared by what they need to learn the demo's task")
  .addOption(new Option("--device <name>", "compute device").choices(deviceNames).default("auto"))
  .addOption(count("--seeds", "runs per method", 5))
  .addOption(count("--passes", "a run fails after this many forward passes", 2400))
  .option("--json", "print JSON instead of a table")
  .action(async ({ json, ...options }: EstimatorOptions & { json?: true }) => {
    const rows = await benchEstimators(options);
    console.log(json ? JSON.stringify(rows, null, 2) : estimatorTable(rows, options.seeds));
  });

program
  .command("chart")
  .description("an SVG chart, and the tables of a page, from result files")
  .argument("[files...]", "result files, written by --out of the other commands")
  .requiredOption("--svg <file>", "the chart")
  .option("--page <file>", "a Markdown page; the part between its markers is replaced")
  .action((files: string[], options: ChartOptions) => chart(files, options));

program
  .command("learning-chart")
  .description("a chart of lines, and the table of a page, from the files of learning and of tests/interop/learning.py")
  .argument("[files...]", "result files; seeds of several files are put together")
  .requiredOption("--svg <file>", "the chart")
  .option("--page <file>", "a Markdown page; the part between its markers is replaced")
  .option("--curves <list>", "names of contenders to draw, separated by semicolons; all by default", (text) =>
    text.split(";"),
  )
  .action((files: string[], options: LearningChartOptions) => chartLearning(files, options));

function measuring(name: string, description: string): Command {
  return reporting(name, description)
    .addOption(new Option("--device <name>", "compute device").choices(deviceNames).default("auto"))
    .addOption(count("--threads", "threads of the device; one per core by default"));
}

/** Without a device. */
function reporting(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "print one JSON object")
    .option("--out <file>", "also write the JSON object to a file");
}

function config(): Option {
  return new Option("--config <name>", "a config of bench/configs.ts, or a config.json").default("opt-125m");
}

function dtype(): Option {
  return new Option("--dtype <dtype>", "dtype of the weights")
    .choices(["f32", "bf16"])
    .argParser((text) => (text === "bf16" ? "BF16" : text === "f32" ? "F32" : refuse("must be f32 or bf16")))
    .default("F32", "f32");
}

function multiply(value: Precision = "float32"): Option {
  return new Option("--multiply <format>", "number format of matrix products")
    .choices(["float32", "bfloat16"])
    .default(value);
}

/** The default of a fine-tune is rademacher (schema/hyperparameters.ts). */
function noise(more?: "none"): Option {
  const kinds = ["normal", "rademacher", ...(more === undefined ? [] : [more])];
  return new Option("--noise <kind>", "kind of noise").choices(kinds).default("rademacher");
}

function labels(): Option {
  const parse = (text: string) => (text === "all" ? text : positive(text));
  return new Option("--labels <number>", "scored tokens at the end of each row, or all").argParser(parse).default(8);
}

function count(flag: string, description: string, value?: number): Option {
  const option = new Option(`${flag} <number>`, description).argParser(positive);
  return value === undefined ? option : option.default(value);
}

function positive(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0 ? value : refuse("must be a whole number above 0");
}

function share(flag: string, description: string, value: number): Option {
  const parse = (text: string) => (text === "0" ? 0 : positive(text));
  return new Option(`${flag} <percent>`, description).argParser(parse).default(value);
}

function list(text: string): string[] {
  return text.split(",").filter((name) => name !== "");
}

function refuse(message: string): never {
  throw new InvalidArgumentError(message);
}

function run<T>(options: T & Output, bench: (options: T) => Promise<AnyResult>): Promise<void> {
  return runAndShow(options, bench, report);
}

async function runAndShow<T, R>(
  { json, out, ...options }: T & Output,
  bench: (options: T) => Promise<R>,
  show: (result: R) => string,
): Promise<void> {
  const result = await bench(options as T);
  const text = JSON.stringify(result, null, 2);
  if (out !== undefined) await writeFile(out, `${text}\n`);
  console.log(json ? text : show(result));
}

await runProgram(program);
