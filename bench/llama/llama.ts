/**
 * bench llama: prompts and generation of llama.cpp and of ours, in turn, on the same weights. llama.cpp comes as the libraries
 * inside node-llama-cpp; to_gguf.py makes its file.
 */
import { access } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Precision, WeightDtype } from "../../engine/devices/device.ts";
import { packagePath, programPath } from "../../schema/package.ts";
import type { GenerateResult } from "../generate.ts";
import { type Machine, machine, median } from "../measure.ts";
import { randomModel } from "../model.ts";
import { outputOf } from "../output-of.ts";
import type { LlamaTask, Rates } from "./child.ts";

export interface LlamaOptions {
  /** A folder with node-llama-cpp in its node_modules. */
  readonly llama: string;
  /** A Python with the packages gguf and numpy. */
  readonly python: string;
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly multiply: Precision;
  readonly device: string;
  readonly prompt: number;
  readonly tokens: number;
  readonly sequences: number;
  readonly rounds: number;
  readonly threads?: number;
}

export interface LlamaResult {
  readonly bench: "llama";
  readonly options: LlamaOptions;
  readonly device: string;
  /** Tokens per second, medians over the rounds. */
  readonly ours: Rates;
  readonly theirs: Rates;
  readonly machine: Machine;
}

export async function benchLlama(options: LlamaOptions): Promise<LlamaResult> {
  const { llama, config, dtype, prompt, tokens, sequences } = options;
  const threads = options.threads ?? availableParallelism();
  const { path, architecture } = await randomModel(config, dtype);
  const gguf = `${path}.gguf`;
  const isThere = await access(gguf).then(
    () => true,
    () => false,
  );
  if (!isThere) await outputOf(options.python, [packagePath("bench/llama/to_gguf.py"), path, gguf]);
  const task: LlamaTask = { llama, gguf, vocabulary: architecture.vocabulary, prompt, tokens, sequences, threads };
  const ours: Rates[] = [];
  const theirs: Rates[] = [];
  let device = options.device;
  for (let round = 0; round < options.rounds; round++) {
    const one = await generated(options, 1);
    const together = await generated(options, sequences);
    device = one.device;
    ours.push({ prompt: prompt / one.first.median, one: one.tokensPerSecond, together: together.tokensPerSecond });
    const stdout = await outputOf(process.execPath, [programPath("bench/llama/child"), JSON.stringify(task)]);
    const line = stdout.split("\n").findLast((text) => text.startsWith("RESULT ")) ?? "RESULT {}";
    theirs.push(JSON.parse(line.slice("RESULT ".length)) as Rates);
  }
  return { bench: "llama", options, device, ours: medians(ours), theirs: medians(theirs), machine: machine() };
}

async function generated(options: LlamaOptions, sequences: number): Promise<GenerateResult> {
  const { config, multiply, device, prompt, tokens, threads = availableParallelism() } = options;
  const flags = { config, multiply, device, prompt, tokens, threads, sequences, runs: 1 };
  const dtype = options.dtype === "BF16" ? "bf16" : "f32";
  const args = Object.entries({ ...flags, dtype }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const stdout = await outputOf(process.execPath, [programPath("bench/main"), "generate", ...args, "--json"]);
  return JSON.parse(stdout) as GenerateResult;
}

function medians(rates: readonly Rates[]): Rates {
  return {
    prompt: median(rates.map(({ prompt }) => prompt)),
    one: median(rates.map(({ one }) => one)),
    together: median(rates.map(({ together }) => together)),
  };
}
