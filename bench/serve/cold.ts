/**
 * bench serve --cold: the first token of checkpoints that nobody has asked yet, beside the same checkpoints once they are warm.
 * Each is a checkpoint of a run that the service has trained for a few steps. What a cold one of all weights may take is
 * loading, and its log at the rate of `bench replay`.
 */
import { programPath } from "../../schema/package.ts";
import type { LoadResult } from "../load.ts";
import { type Machine, machine, median } from "../measure.ts";
import { randomModel, randomTokens } from "../model.ts";
import { outputOf } from "../output-of.ts";
import type { RebuildResult } from "../rebuild.ts";
import { ask, firstOf } from "./client.ts";
import { addRows, checkpointsOf, createRun, type MadeCheckpoint, type RunSettings } from "./runs.ts";
import type { ServeOptions } from "./serve.ts";
import { startService } from "./service.ts";

export interface ColdOptions extends Omit<ServeOptions, "clients" | "tokens"> {
  /** Steps between two checkpoints: of an adapter, and of all weights. */
  readonly adapterSteps: number;
  readonly fullSteps: number;
}

/** Seconds to the first token. */
interface Coldness {
  readonly entries: number;
  readonly cold: number;
  readonly warm: number;
}

export interface ColdResult {
  readonly bench: "cold";
  readonly options: ColdOptions;
  readonly device: string;
  /** One per checkpoint: of LoRA adapters, and of all weights. */
  readonly adapters: readonly Coldness[];
  readonly full: readonly Coldness[];
  /** Of the longest of those logs, by the engine alone. */
  readonly engine: {
    readonly entries: number;
    /** Seconds: replay alone; a rebuild of a folder; the loading of a model. */
    readonly replay: number;
    readonly rebuild: number;
    readonly load: number;
  };
  readonly machine: Machine;
}

const name = "bench";

export async function benchCold(options: ColdOptions): Promise<ColdResult> {
  const folder = await randomModel(options.config, options.dtype);
  const { vocabulary } = folder.architecture;
  const { device, threads = 0, prompt, rounds, adapterSteps, fullSteps } = options;
  const service = await startService({ model: folder.path, name, vocabulary, device, threads });
  const { url } = service;
  try {
    const dataset = await addRows(url, vocabulary, 16, 16);
    const made = async (method: RunSettings["method"], every: number) => {
      const shape = { baseModel: name, dataset, method, steps: rounds * every, batchSize: 1, checkpointEvery: every };
      return checkpointsOf(url, await createRun(url, shape));
    };
    const [lora, full] = [await made("LORA", adapterSteps), await made("FULL", fullSteps)];
    let seed = 0;
    const first = async (model: string) =>
      firstOf(await ask(url, { model, prompt: randomTokens(vocabulary, prompt, 9000 + seed++), tokens: 2 }));
    console.error("The checkpoints are made, and are asked now.");
    for (let warmUp = 0; warmUp < 12; warmUp++) await first(name);
    const adapters = await inTurn(lora, first);
    const engine = await engineAlone(options, full.at(-1)?.entries ?? 0);
    return {
      bench: "cold",
      options,
      device: engine.device,
      adapters,
      full: await inTurn(full, first),
      engine: engine.seconds,
      machine: machine(),
    };
  } finally {
    await service.stop();
  }
}

async function inTurn(
  checkpoints: readonly MadeCheckpoint[],
  first: (model: string) => Promise<number>,
): Promise<Coldness[]> {
  const measured: Coldness[] = [];
  for (const { id, entries } of checkpoints) {
    const cold = await first(id);
    measured.push({ entries, cold, warm: median([await first(id), await first(id), await first(id)]) });
  }
  return measured;
}

async function engineAlone({ config, dtype, device, threads }: ColdOptions, entries: number) {
  const all = { config, dtype: dtype === "BF16" ? "bf16" : "f32", device, threads };
  const bench = async (command: string, more: object) => {
    const flags = Object.entries({ ...all, ...more }).flatMap(([flag, value]) =>
      value === undefined ? [] : [`--${flag}`, String(value)],
    );
    return JSON.parse(
      await outputOf(process.execPath, [programPath("bench/main"), command, ...flags, "--json"]),
    ) as unknown;
  };
  const rebuild = (await bench("rebuild", { entries })) as RebuildResult;
  const load = (await bench("load", { rounds: 3 })) as LoadResult;
  const seconds = { entries, replay: rebuild.foretold, rebuild: rebuild.seconds, load: load.load.median };
  return { device: rebuild.device, seconds };
}

export function coldLines({ adapters, full, engine }: ColdResult) {
  const line = (what: string) => (one: Coldness) => {
    const numbers = `${one.cold.toFixed(2)} s cold, ${one.warm.toFixed(2)} s warm`;
    return [`${what}, ${one.entries} entries`, `${numbers}; ${(one.cold - one.warm).toFixed(2)} s more`] as const;
  };
  const { entries, replay, rebuild, load } = engine;
  const alone = `${replay.toFixed(2)} s of replay, ${load.toFixed(2)} s of loading; a rebuild of a folder ${rebuild.toFixed(2)} s`;
  return [
    ...adapters.map(line("adapter")),
    ...full.map(line("all weights")),
    [`the engine, ${entries} entries`, alone] as const,
  ];
}
