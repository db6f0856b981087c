/** bench generate: tokens per second of a continuation, and the rate at which it reads weights. */
import type { WeightDtype } from "../engine/devices/device.ts";
import { generate } from "../engine/generation/generate.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";
import { openDevice } from "./device.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, memory, resetPeak, summarise, timed } from "./measure.ts";
import { randomModel, randomRows } from "./model.ts";
import { workOf } from "./work.ts";

export interface GenerateOptions {
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly device: string;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Tokens generated after the first one, which includes the pass over the prompt. */
  readonly tokens: number;
  readonly runs: number;
  readonly threads?: number;
}

export interface GenerateResult {
  readonly bench: "generate";
  readonly options: GenerateOptions;
  readonly device: string;
  /** Seconds to the first token. */
  readonly first: Summary;
  /** Seconds per later token. */
  readonly token: Summary;
  readonly tokensPerSecond: number;
  /** Stored bytes of the weights used for a token, divided by its time. */
  readonly weightGbPerSecond: number;
  readonly peakMemory: number;
  readonly machine: Machine;
}

export async function benchGenerate(options: GenerateOptions): Promise<GenerateResult> {
  const folder = await randomModel(options.config, options.dtype);
  const device = await openDevice(options);
  const model = await loadModel(folder, device, "rademacher");
  const prompt = promptOf(model, options.prompt);
  await generate(model, prompt, 2);
  resetPeak();
  const firsts: Sample[] = [];
  const tokens: Sample[] = [];
  for (let run = 0; run < options.runs; run++) {
    const { sample: first } = await timed(() => generate(model, prompt, 1));
    const { sample: all } = await timed(() => generate(model, prompt, 1 + options.tokens));
    firsts.push(first);
    tokens.push({ ...all, seconds: (all.seconds - first.seconds) / options.tokens });
  }
  const token = summarise(tokens);
  const { weightBytes } = await workOf(folder, randomRows(model.folder.architecture.vocabulary, 1, 2, 1));
  const result: GenerateResult = {
    bench: "generate",
    options,
    device: `${device.name}: ${device.description}`,
    first: summarise(firsts),
    token,
    tokensPerSecond: 1 / token.median,
    weightGbPerSecond: weightBytes / token.median / 1e9,
    peakMemory: memory().peak,
    machine: machine(),
  };
  device.dispose();
  return result;
}

function promptOf(model: Model, tokens: number): number[] {
  return randomRows(model.folder.architecture.vocabulary, 1, tokens, 1).flatMap(({ ids }) => [...ids]);
}
