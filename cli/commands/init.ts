/** steplog init --config FILE --seed N --dtype f32|bf16 --out FOLDER */
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { initModel } from "../../engine/model/random-weights.ts";
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import { readUserJson, requireWritable } from "../files.ts";
import { integer } from "../options.ts";
import { print, printJson } from "../output.ts";

interface InitOptions {
  config: string;
  seed: number;
  dtype: "f32" | "bf16";
  out: string;
  readonly json?: true;
}

export function define(command: Command): void {
  command
    .description("Write a model with random weights, for benchmarks and tests.")
    .requiredOption("--config <config.json>", "config of a supported model family")
    .option("--seed <number>", "seed of the weights", integer(0, Number.MAX_SAFE_INTEGER), 0)
    .addOption(new Option("--dtype <dtype>", "dtype of the weights").choices(["f32", "bf16"]).default("f32"))
    .requiredOption("--out <folder>", "where to write the model")
    .option("--json", "print the model as one JSON object")
    .addHelpText("after", "\nExample:\n  steplog init --config config.json --seed 1 --dtype bf16 --out random")
    .action(init);
}

async function init(options: InitOptions): Promise<void> {
  const config = await readUserJson(options.config);
  await requireWritable(options.out, "folder");
  const present: string[] = await readdir(options.out).catch(() => []);
  if (present.length > 0) throw new SteplogError("CONFLICT", `${options.out} is not empty. Choose another folder.`);
  const dtype = options.dtype === "f32" ? "F32" : "BF16";
  const { family, tensors } = await initModel({ config, seed: options.seed, dtype, out: resolve(options.out) });
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  if (options.json) printJson({ folder: options.out, family, parameters });
  else print(`Wrote a random ${family} model of ${counted(parameters, "parameter")} to ${options.out}.`);
}
