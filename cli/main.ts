/** The steplog command. Each subcommand is a file of cli/commands, loaded when it is asked for. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { deviceNames } from "../engine/devices/choose.ts";
import { asSteplogError } from "../schema/errors.ts";
import type { PresetName } from "../dataset/presets.ts";
import { presetNames } from "../dataset/presets.ts";
import { limits } from "../schema/limits.ts";
import { version } from "../schema/package.ts";
import type { ContinueOptions } from "./commands/continue.ts";
import type { DatasetOptions } from "./commands/dataset.ts";
import type { GenerateOptions } from "./commands/generate.ts";
import type { InitOptions } from "./commands/init.ts";
import type { ModelAddOptions } from "./commands/model-add.ts";
import type { ModelRemoveOptions } from "./commands/model-remove.ts";
import type { ReconstructOptions } from "./commands/reconstruct.ts";
import type { ScoreOptions } from "./commands/score.ts";
import { exitCodes, reportError } from "./exit.ts";

const examples = `
Examples:
  steplog start                                         the whole service on this machine, until Ctrl-C
  steplog model add facebook/opt-125m                   a model from the hub, or from a folder
  steplog tune fine-tune.json                           create a fine-tune, follow it, exit with its outcome
  steplog log run.steplog --json                        what a log holds
  steplog reconstruct --base BASE --log run.steplog --out TUNED
  steplog score --model TUNED --data rows.jsonl --json
  steplog generate --model TUNED --prompt "Once" --max-tokens 20

Exit codes: 0 done, 1 a fault of Steplog, 2 wrong usage, 3 input refused, 4 the fine-tune failed, 5 it was cancelled.
`;

const adapterText = "an adapter for the model (LoRA or a prefix), as reconstruct and peft write it";
const deviceOption = () =>
  new Option("--device <name>", "compute device").choices(deviceNames).env("STEPLOG_DEVICE").default("auto");

/** Runs the command line and sets the exit code of the process. */
export async function main(args: readonly string[]): Promise<void> {
  const program = build();
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : exitCodes.usage;
      return;
    }
    reportError(asSteplogError(error));
  } finally {
    // A channel to the parent that started this process would keep it alive.
    if (process.connected) process.disconnect();
  }
}

/** Also what the tests hold the pages against. */
export function build(): Command {
  const program = new Command("steplog")
    .description("Fine-tune language models with forward passes only, and rebuild them from logs of two bytes a step.")
    .version(version)
    .showHelpAfterError("(steplog --help shows the commands)")
    .addHelpText("after", examples)
    .exitOverride();
  addServiceCommands(program);
  addClientCommands(program);
  addLogCommands(program);
  addModelsCommands(program);
  addModelCommands(program);
  prepareAll(program, "steplog");
  return program;
}

/** Errors of usage are thrown, and name the help that would have prevented them. */
function prepareAll(parent: Command, path: string): void {
  for (const command of parent.commands) {
    const name = `${path} ${command.name()}`;
    command.exitOverride().showHelpAfterError(`(${name} --help)`);
    prepareAll(command, name);
  }
}

function addServiceCommands(program: Command): void {
  program
    .command("start")
    .description("start Postgres (embedded, unless DATABASE_URL is set), the gateway and a worker; Ctrl-C stops them")
    .option("--port <number>", "port of the gateway", integer(0, 65_535))
    .addHelpText("after", "\nExample:\n  steplog start --port 4001")
    .action(async (options: { port?: number }) => (await import("./commands/start.ts")).start(options));
  program
    .command("server")
    .description("start the gateway alone, against DATABASE_URL")
    .option("--port <number>", "port of the gateway", integer(0, 65_535))
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog server --port 4000",
    )
    .action(async (options: { port?: number }) => (await import("./commands/server.ts")).server(options));
  program
    .command("worker")
    .description("start a worker alone, against DATABASE_URL")
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog STEPLOG_DEVICE=tfjs steplog worker",
    )
    .action(async () => (await import("./commands/worker.ts")).worker());
  program
    .command("demo")
    .description("the whole path once: train the demo model, download its log, rebuild it and compare every byte")
    .action(async () => (await import("./commands/demo.ts")).demo());
}

function addClientCommands(program: Command): void {
  program
    .command("tune")
    .description("create the fine-tune that a file describes on a running service, follow it, exit with its outcome")
    .argument("<file.json>", "settings; docs/CLI.md lists the fields")
    .option("--url <url>", "the service", process.env["STEPLOG_URL"] ?? "http://127.0.0.1:4000")
    .option("--json", "print one JSON object at the end instead of progress")
    .addHelpText("after", "\nExample:\n  steplog tune fine-tune.json --url http://127.0.0.1:4000")
    .action(async (file: string, options: { url: string; json?: true }) =>
      (await import("./commands/tune.ts")).tune(file, options),
    );
  program
    .command("dataset")
    .description("rows as a task publishes them (JSON Lines or parquet) as datasets of a run; docs/YOUR_DATA.md")
    .argument("<file>", "the rows")
    .requiredOption("--out <folder>", "where training.jsonl, validation.jsonl and test.jsonl go")
    .addOption(
      new Option("--preset <task>", "the task that the rows are of").choices(presetNames).argParser(presetNamed),
    )
    .option("--template <text>", 'a prompt with fields in braces, "{text} It was", for rows of no preset')
    .option("--label-field <name>", "the field of the label, for --template", "label")
    .addOption(
      new Option("--labels <json>", 'completion of each label: {"0": " bad", "1": " good"}').argParser(labelsOf),
    )
    .option("--validation <share>", "share of the rows to validate on", share, 0)
    .option("--test <share>", "share of the rows to test on", share, 0)
    .option(
      "--per-class <number>",
      "rows of each completion to learn from; all when left out",
      integer(1, limits.datasetRows),
    )
    .option("--seed <number>", "of the split and the sample", integer(0, 2 ** 32 - 1), 0)
    .option("--json", "one JSON object with what was written")
    .addHelpText(
      "after",
      "\nExample:\n  steplog dataset train.parquet --preset SST2 --per-class 16 --validation 0.1 --out sst2",
    )
    .action(async (file: string, options: DatasetOptions) =>
      (await import("./commands/dataset.ts")).dataset(file, options),
    );
  program
    .command("continue")
    .description("more steps for a run that has ended, from its last checkpoint; follow them, exit with their outcome")
    .argument("<id>", "the run's id")
    .requiredOption("--steps <number>", "steps more", integer(1, limits.steps))
    .option("--name <name>", "name of the new run; the old one's when left out")
    .option("--log <file>", "where to write the last checkpoint's .steplog")
    .option("--url <url>", "the service", process.env["STEPLOG_URL"] ?? "http://127.0.0.1:4000")
    .option("--json", "one JSON object with the outcome")
    .addHelpText("after", "\nExample:\n  steplog continue RmluZVR1bmU6... --steps 500")
    .action(async (id: string, options: ContinueOptions) =>
      (await import("./commands/continue.ts")).continueRun(id, options),
    );
}

function addLogCommands(program: Command): void {
  program
    .command("log")
    .description("show what a .steplog file holds, after proving its chain")
    .argument("<file>", "a .steplog file")
    .option("--json", "one JSON object: header, entries, chain")
    .addHelpText("after", "\nExample:\n  steplog log run.steplog --json | jq .header.noise")
    .action(async (file: string, options: { json?: true }) => (await import("./commands/log.ts")).log(file, options));
  program
    .command("reconstruct")
    .description("rebuild a fine-tuned model from its base and its log, as a folder that transformers (or peft) loads")
    .requiredOption("--base <folder>", "the base model the log was made on")
    .requiredOption("--log <file>", "the .steplog file")
    .requiredOption("--out <folder>", "where the model goes")
    .addOption(
      new Option(
        "--verify [all]",
        "read the file back, and replay the weights a second time in plain TypeScript",
      ).argParser(verifyExtent),
    )
    .option("--merge", "of a LoRA adapter: write the whole model with the adapter merged, not the adapter")
    .option("--digest <hex>", "fail unless the weights have this digest")
    .option("--force", "replace the output folder")
    .option("--json", "print one JSON object at the end")
    .addOption(deviceOption())
    .addHelpText(
      "after",
      "\nExample:\n  steplog reconstruct --base models/opt-125m --log run.steplog --out tuned --verify",
    )
    .action(async (options: ReconstructOptions) =>
      (await import("./commands/reconstruct.ts")).reconstructCommand(options),
    );
  program
    .command("hash")
    .description("print the base hash of a model folder")
    .argument("<folder>", "a model in Hugging Face layout")
    .addHelpText("after", "\nExample:\n  steplog hash models/opt-125m")
    .action(async (folder: string) => (await import("./commands/hash.ts")).hash(folder));
}

function addModelsCommands(program: Command): void {
  const model = program.command("model").description("the models folder: what can be fine-tuned (STEPLOG_MODELS)");
  model
    .command("add")
    .description("bring a model into the models folder, from a folder of this machine or from the Hugging Face hub")
    .argument("<what>", "a folder, or ORGANISATION/NAME[@REVISION]")
    .option("--name <name>", "name of its folder, by which fine-tunes know it")
    .option("--link", "hard-link the files of a folder instead of copying them")
    .option("--json", "print one JSON object at the end")
    .addHelpText(
      "after",
      "\nExamples:\n  steplog model add facebook/opt-125m\n  steplog model add Qwen/Qwen3-0.6B@main --name qwen\n" +
        "  steplog model add ./my-model\n\nHF_TOKEN, or the token of hf auth login, opens what is private or gated; " +
        "HF_ENDPOINT names a mirror.\nA download that was interrupted goes on where it stopped when the same command runs again.",
    )
    .action(async (what: string, options: ModelAddOptions) =>
      (await import("./commands/model-add.ts")).modelAdd(what, options),
    );
  model
    .command("list")
    .description("what is in the models folder, with sizes, hashes and sources")
    .option("--json", "print {modelsDir, models}")
    .addHelpText("after", "\nExample:\n  steplog model list")
    .action(async (options: { json?: true }) => (await import("./commands/model-list.ts")).modelList(options));
  model
    .command("remove")
    .description("delete a model, unless fine-tunes need it")
    .argument("<name>", "name of its folder")
    .option("--yes", "do not ask")
    .option("--force", "do not look whether fine-tunes need it: their logs rebuild nothing without it")
    .addHelpText("after", "\nExample:\n  steplog model remove opt-125m")
    .action(async (name: string, options: ModelRemoveOptions) =>
      (await import("./commands/model-remove.ts")).modelRemove(name, options),
    );
}

function addModelCommands(program: Command): void {
  program
    .command("score")
    .description("loss of each row of a JSONL file under a model")
    .requiredOption("--model <folder>", "a model in Hugging Face layout")
    .option("--adapter <folder>", adapterText)
    .requiredOption("--data <file.jsonl>", "rows of prompt and completion, or of input_ids and labels")
    .option("--json", "print {rows: [{loss, tokens}]}")
    .addOption(deviceOption())
    .addHelpText("after", "\nExample:\n  steplog score --model tuned --data rows.jsonl --json")
    .action(async (options: ScoreOptions) => (await import("./commands/score.ts")).score(options));
  program
    .command("generate")
    .description("continue a prompt by the likeliest tokens, or by drawn ones where an option of the draw is given")
    .requiredOption("--model <folder>", "a model in Hugging Face layout")
    .option("--adapter <folder>", adapterText)
    .addOption(new Option("--prompt <text>", "text to continue").conflicts("inputIds"))
    .option("--input-ids <ids>", "tokens to continue, as 1,2,3", tokenList)
    .option("--max-tokens <number>", "tokens to add at most", integer(1, 1_000_000), 20)
    .option("--temperature <number>", "draw tokens, from logits divided by it (0: take the likeliest)", temperature)
    .option("--top-k <number>", "draw from so many of the likeliest tokens", integer(1, 1_000_000_000))
    .option("--top-p <share>", "draw from the likeliest tokens that have this probability together", probability)
    .option("--seed <number>", "seed of the draw, 0 when left out", integer(0, Number.MAX_SAFE_INTEGER))
    .option("--json", "print {tokens, text}")
    .addOption(deviceOption())
    .addHelpText(
      "after",
      '\nExamples:\n  steplog generate --model tuned --prompt "Once upon" --max-tokens 20 --json\n' +
        '  steplog generate --model tuned --prompt "Once upon" --temperature 0.8 --top-p 0.95 --seed 1',
    )
    .action(async (options: GenerateOptions) => (await import("./commands/generate.ts")).generateCommand(options));
  program
    .command("init")
    .description("write a model with random weights, for benches and tests")
    .requiredOption("--config <config.json>", "config of a supported family")
    .option("--seed <number>", "seed of the weights", integer(0, Number.MAX_SAFE_INTEGER), 0)
    .addOption(new Option("--dtype <dtype>", "dtype of the weights").choices(["f32", "bf16"]).default("f32"))
    .requiredOption("--out <folder>", "where the model goes")
    .addHelpText("after", "\nExample:\n  steplog init --config config.json --seed 1 --dtype bf16 --out random")
    .action(async (options: InitOptions) => (await import("./commands/init.ts")).init(options));
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

function verifyExtent(text: string): "all" {
  if (text === "all") return text;
  throw new InvalidArgumentError("Give nothing, for what takes a minute at most, or all.");
}

function tokenList(text: string): number[] {
  const ids = text.split(",").map((part) => (/^\s*\d+\s*$/u.test(part) ? Number(part) : NaN));
  if (ids.every(Number.isSafeInteger)) return ids;
  throw new InvalidArgumentError("Give token ids as whole numbers with commas between, as 1,2,3.");
}

function presetNamed(text: string): PresetName {
  const name = presetNames.find((known) => known === text.toUpperCase());
  if (name) return name;
  throw new InvalidArgumentError(`There are ${presetNames.join(", ")}.`);
}

function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Give a number from 0.");
}

function probability(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 1) return value;
  throw new InvalidArgumentError("Give a probability, above 0 and up to 1.");
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value < 1) return value;
  throw new InvalidArgumentError("Give a share of the rows, from 0 to below 1.");
}

function labelsOf(text: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(text);
    const texts = typeof value === "object" && value !== null ? Object.entries(value) : [];
    if (texts.length >= 2 && texts.every(([, word]) => typeof word === "string"))
      return value as Record<string, string>;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('Give a JSON object of two or more labels: {"0": " bad", "1": " good"}.');
}
