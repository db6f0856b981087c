/**
 * bench serve --many: this many adapters of one base, each a checkpoint of a LoRA run that the service has trained. Each is
 * asked once while nobody has asked it, in random order; then clients ask at once: all of them the base,
 * all of them one adapter, and each of them another adapter, chosen anew with every question.
 */
import { type Machine, machine, median, quantile } from "../measure.ts";
import { randomModel, randomTokens } from "../model.ts";
import { type Answer, ask, firstOf, rateOf, tokenOf } from "./client.ts";
import { residentMb } from "./resident.ts";
import { addRows, checkpointsOf, createRun, type MadeCheckpoint } from "./runs.ts";
import type { Pace, ServeOptions } from "./serve.ts";
import { startService } from "./service.ts";

export interface ManyOptions extends ServeOptions {
  /** How many adapters. */
  readonly many: number;
}

export interface ManyResult {
  readonly bench: "many";
  readonly options: ManyOptions;
  readonly device: string;
  /** Seconds to the first token of one client: of the base, and of every adapter at its first question, in that order. */
  readonly base: number;
  readonly cold: readonly { readonly entries: number; readonly seconds: number }[];
  /** Of adapters that were asked last, at their second question. */
  readonly warm: readonly number[];
  /** Medians of the rounds. */
  readonly together: Readonly<Record<"base" | "one" | "each", Pace>>;
  /** MB of the service without Postgres: with the base alone, and with the adapters. */
  readonly memory: { readonly base: number; readonly adapters: number };
  readonly machine: Machine;
}

const name = "bench";
/** Of the first questions of a process; as `bench serve` has it. */
const warmUps = 12;

export async function benchMany(options: ManyOptions): Promise<ManyResult> {
  const folder = await randomModel(options.config, options.dtype);
  const { vocabulary } = folder.architecture;
  const { device, threads = 0, prompt, tokens, clients, rounds, many } = options;
  const service = await startService({ model: folder.path, name, vocabulary, device, threads });
  const { url, pid } = service;
  let seed = 0;
  const question = (model: string, most: number) =>
    ask(url, { model, prompt: randomTokens(vocabulary, prompt, 9000 + seed++), tokens: most });
  const first = async (model: string) => firstOf(await question(model, 2));
  try {
    // What they learn is no matter.
    const dataset = await addRows(url, vocabulary, 16, 4);
    const shape = { baseModel: name, dataset, method: "LORA" as const, batchSize: 1 };
    const run = await createRun(url, { ...shape, steps: many, checkpointEvery: 1 });
    const made = shuffled(await checkpointsOf(url, run));
    const adapters = made.map(({ id }) => id);
    console.error(`The ${adapters.length} adapters are made, and are asked now.`);
    const base: number[] = [];
    for (let at = 0; at < 2 * warmUps; at++) base.push(await first(name));
    const before = await residentMb(pid);
    const cold: { entries: number; seconds: number }[] = [];
    for (const { id, entries } of made) cold.push({ entries, seconds: await first(id) });
    const memory = { base: before, adapters: await residentMb(pid) };
    const warm: number[] = [];
    for (const id of adapters.slice(-warmUps)) warm.push(await first(id));
    const inTurn = { base: () => name, one: () => adapters.at(-1) ?? name, each: another(adapters) };
    const asked: Record<keyof typeof inTurn, Answer[][]> = { base: [], one: [], each: [] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of ["base", "one", "each"] as const) {
        const answers = Array.from({ length: clients }, () => question(inTurn[kind](), tokens + 1));
        asked[kind].push(await Promise.all(answers));
      }
    }
    return {
      bench: "many",
      options,
      device,
      base: median(base.slice(warmUps)),
      cold,
      warm,
      together: { base: paceOf(asked.base), one: paceOf(asked.one), each: paceOf(asked.each) },
      memory,
      machine: machine(),
    };
  } finally {
    await service.stop();
  }
}

function paceOf(rounds: readonly (readonly Answer[])[]): Pace {
  return {
    first: median(rounds.flat().map(firstOf)),
    token: median(rounds.flat().map(tokenOf)),
    tokensPerSecond: median(rounds.map((answers) => rateOf(answers))),
  };
}

/** A fixed order that is no order: the same in every run of the benchmark. */
function shuffled(made: readonly MadeCheckpoint[]): MadeCheckpoint[] {
  const places = randomTokens(2 ** 30, made.length, 7);
  const placed = made.map((one, at) => ({ one, place: places[at] ?? 0 }));
  return placed.toSorted((a, b) => a.place - b.place).map(({ one }) => one);
}

/** Those asked longest ago first, so that none is asked twice. */
function another(ids: readonly string[]): () => string {
  let at = 0;
  return () => ids[at++ % ids.length] ?? name;
}

export function manyLines({ base, cold, warm, together, memory, options }: ManyResult) {
  const ms = (seconds: number) => `${(1000 * seconds).toFixed(0)} ms`;
  const inOrder = cold.toSorted((a, b) => a.entries - b.entries);
  /** Of a part of the logs, from the shortest. */
  const some = (from: number, to: number) => {
    const part = inOrder.slice(Math.floor(from * cold.length), Math.max(1, Math.floor(to * cold.length)));
    const waits = part.map(({ seconds }) => seconds);
    const entries = `${part[0]?.entries} to ${part.at(-1)?.entries} entries`;
    return [
      `first question, ${entries}`,
      `median ${ms(median(waits))}, 99 % within ${ms(quantile(waits, 0.99))}`,
    ] as const;
  };
  const rate = ({ first, token, tokensPerSecond }: Pace) =>
    `${tokensPerSecond.toFixed(1)} tokens per second; first ${ms(first)}, later ones ${(1000 * token).toFixed(1)} ms`;
  const resident = `${memory.base.toFixed(0)} MB before they were asked, ${memory.adapters.toFixed(0)} MB after`;
  return [
    ["first token", `base ${ms(base)}; an adapter's second question ${ms(median(warm))}`],
    some(0, 0.25),
    some(0.25, 0.75),
    some(0.75, 1),
    ["memory", resident],
    [`${options.clients} clients, the base`, rate(together.base)],
    [`${options.clients} clients, one adapter`, rate(together.one)],
    [`${options.clients} clients, an adapter each`, rate(together.each)],
  ] as const;
}
