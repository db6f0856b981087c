/**
 * bench serve: what the service adds to the engine, for one client and for several that ask at once, by the OpenAI protocol over
 * HTTP. In each round the engine alone, in a process of its own, and the service answer as many prompts, in turn; what the
 * service adds is the difference of a round.
 */
import type { WeightDtype } from "../../engine/devices/device.ts";
import { mean } from "../../engine/numbers/mean.ts";
import { type Machine, machine, median } from "../measure.ts";
import { randomModel, randomTokens } from "../model.ts";
import { type Answer, ask, firstOf, rateOf, tokenOf } from "./client.ts";
import { EngineAlone } from "./engine-alone.ts";
import { type Service, startService } from "./service.ts";

export interface ServeOptions {
  readonly config: string;
  readonly dtype: WeightDtype;
  readonly device: string;
  readonly prompt: number;
  /** Tokens after the first. */
  readonly tokens: number;
  /** Clients at once in the last measurement. */
  readonly clients: number;
  readonly rounds: number;
  readonly threads?: number;
}

/** Seconds to the first token, seconds per later token, and tokens per second of all clients, prompts included. */
export interface Pace {
  readonly first: number;
  readonly token: number;
  readonly tokensPerSecond: number;
}

/** Medians of the rounds, and every round. */
export interface Compared {
  readonly clients: number;
  readonly engine: Pace;
  readonly service: Pace;
  /** Of the rounds' differences: seconds that the service adds to the first token, and what it adds to later ones, as a share. */
  readonly added: { readonly first: number; readonly token: number };
  readonly rounds: readonly { readonly engine: Pace; readonly service: Pace }[];
}

export interface ServeResult {
  readonly bench: "serve";
  readonly options: ServeOptions;
  readonly device: string;
  readonly one: Compared;
  readonly together: Compared;
  readonly machine: Machine;
}

const modelName = "bench";

/** The first requests wait for the model, for code that is compiled, and for statements that each connection prepares. */
const warmUps = 12;

export async function benchServe(options: ServeOptions): Promise<ServeResult> {
  const folder = await randomModel(options.config, options.dtype);
  const { vocabulary } = folder.architecture;
  const { device, threads = 0, clients } = options;
  const service = await startService({ model: folder.path, name: modelName, vocabulary, device, threads });
  const { models } = service;
  const place = { path: `${models}/${modelName}`, hashes: models, device, threads, sequences: clients };
  const engine = await EngineAlone.start(place).catch(async (error: unknown) => {
    await service.stop();
    throw error;
  });
  try {
    const asked = { engine, service, vocabulary, options };
    for (let seed = 0; seed < warmUps; seed++) await round({ ...asked, options: { ...options, tokens: 3 } }, 1, seed);
    await round({ ...asked, options: { ...options, tokens: 3 } }, clients, warmUps);
    const one = await compared(asked, 1);
    const together = await compared(asked, clients);
    return { bench: "serve", options, device: engine.device, one, together, machine: machine() };
  } finally {
    await engine.stop();
    await service.stop();
  }
}

interface Asked {
  readonly engine: EngineAlone;
  readonly service: Service;
  readonly vocabulary: number;
  readonly options: ServeOptions;
}

async function compared(asked: Asked, clients: number): Promise<Compared> {
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let at = 0; at < asked.options.rounds; at++) rounds.push(await round(asked, clients, 100 + at));
  const middle = (side: "engine" | "service"): Pace => ({
    first: median(rounds.map((one) => one[side].first)),
    token: median(rounds.map((one) => one[side].token)),
    tokensPerSecond: median(rounds.map((one) => one[side].tokensPerSecond)),
  });
  const added = {
    first: median(rounds.map(({ engine, service }) => service.first - engine.first)),
    token: median(rounds.map(({ engine, service }) => service.token / engine.token - 1)),
  };
  return { clients, engine: middle("engine"), service: middle("service"), added, rounds };
}

/** Both sides have prompts of their own: a prompt that was asked before is kept, and costs nothing. */
async function round({ engine, service, vocabulary, options }: Asked, clients: number, number: number) {
  const prompts = (first: number) =>
    Array.from({ length: clients }, (_, at) =>
      randomTokens(vocabulary, options.prompt, 2000 * number + 100 * first + at),
    );
  const tokens = options.tokens + 1;
  const alone = async () => paceOf(await engine.ask({ prompts: prompts(0), tokens }));
  const served = async () => {
    const questions = prompts(1).map((prompt) => ask(service.url, { model: modelName, prompt, tokens }));
    return paceOf(await Promise.all(questions));
  };
  if (number % 2 === 0) return { engine: await alone(), service: await served() };
  const first = await served();
  return { engine: await alone(), service: first };
}

function paceOf(answers: readonly Answer[]): Pace {
  return {
    first: mean(answers.map(firstOf)),
    token: mean(answers.map(tokenOf)),
    tokensPerSecond: rateOf(answers),
  };
}

export function serveLines({ one, together }: ServeResult) {
  return [...pairLines(one), ...pairLines(together)];
}

/** Each number with the smallest and the largest of its rounds. */
function pairLines({ clients, engine, service, added, rounds }: Compared) {
  const ms = (side: "engine" | "service", what: "first" | "token") => {
    const all = rounds.map((one) => one[side][what] * 1000);
    return `${(1000 * (side === "engine" ? engine : service)[what]).toFixed(1)} ms (${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)})`;
  };
  const who = clients === 1 ? "one client" : `${clients} clients`;
  const more = `${(1000 * added.first).toFixed(1)} ms to the first token, ${(100 * added.token).toFixed(1)} % to later ones`;
  return [
    [`${who}, first token`, `${ms("service", "first")}; the engine alone ${ms("engine", "first")}`],
    [`${who}, later tokens`, `${ms("service", "token")}; the engine alone ${ms("engine", "token")}`],
    [
      `${who}, tokens`,
      `${service.tokensPerSecond.toFixed(1)} per second; the engine alone ${engine.tokensPerSecond.toFixed(1)}`,
    ],
    [`${who}, the service adds`, `${more}; medians of ${rounds.length} rounds`],
  ] as const;
}
