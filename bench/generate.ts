/**
 * bench generate: tokens per second of sequences that are decoded together, as a worker that serves does, and the rate at which
 * that reads weights, compared with a copy of memory.
 */
import type { Precision, WeightDtype } from "../engine/devices/device.ts";
import type { Sequence } from "./decode.ts";
import { Decoding } from "./decode.ts";
import { copyRateOf, openDevice } from "./device.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, memory, resetPeak, summarise, timed } from "./measure.ts";
import { randomModel, randomRows } from "./model.ts";
import { workOf } from "./work.ts";

export interface GenerateOptions {
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly multiply: Precision;
  readonly device: string;
  /** Decoded together. */
  readonly sequences: number;
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
  /** Seconds to the first token of one sequence. */
  readonly first: Summary;
  /** Seconds per later token of all sequences. */
  readonly token: Summary;
  /** Of all sequences. */
  readonly tokensPerSecond: number;
  /** Stored bytes of the weights used for a token, divided by its time. */
  readonly weightGbPerSecond: number;
  /** Bytes that a copy of memory reads and writes; NaN if the device does not tell. */
  readonly copyGbPerSecond: number;
  readonly peakMemory: number;
  readonly machine: Machine;
}

export async function benchGenerate(options: GenerateOptions): Promise<GenerateResult> {
  const folder = await randomModel(options.config, options.dtype);
  const device = await openDevice(options);
  const decoding = await Decoding.load(folder, device, options.multiply);
  const prompt = randomRows(folder.architecture.vocabulary, 1, options.prompt, 1).flatMap(({ ids }) => [...ids]);
  const copies = [await copyRateOf(device)];
  const [firsts, tokens]: [Sample[], Sample[]] = [[], []];
  for (let run = -1; run < options.runs; run++) {
    if (run === 0) resetPeak();
    const { sample: first, result } = await timed(() => decoding.start(prompt));
    const sequences = [result, ...decoding.copies(result, options.sequences - 1)];
    const { sample: rest } = await timed(() => decodeMore(decoding, sequences, options.tokens));
    for (const sequence of sequences) decoding.free(sequence);
    if (run < 0) continue;
    firsts.push(first);
    tokens.push({ ...rest, seconds: rest.seconds / options.tokens });
  }
  copies.push(await copyRateOf(device));
  const token = summarise(tokens);
  const { weightBytes } = await workOf(folder, randomRows(folder.architecture.vocabulary, 1, 2, 1));
  const result: GenerateResult = {
    bench: "generate",
    options,
    device: `${device.name}: ${device.description}`,
    first: summarise(firsts),
    token,
    tokensPerSecond: options.sequences / token.median,
    weightGbPerSecond: weightBytes / token.median / 1e9,
    copyGbPerSecond: Math.max(...copies),
    peakMemory: memory().peak,
    machine: machine(),
  };
  device.dispose();
  return result;
}

async function decodeMore(decoding: Decoding, sequences: readonly Sequence[], count: number): Promise<void> {
  for (let token = 0; token < count; token++) await decoding.step(sequences);
}
