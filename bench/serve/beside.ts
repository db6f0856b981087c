/**
 * bench serve --beside: a run that trains while clients ask, both on one worker, by its settings: what the first token and later
 * ones take without the run and beside it, and what the run makes of the time alone and beside one client and several.
 */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { mean } from "../../engine/numbers/mean.ts";
import { type Machine, machine, median } from "../measure.ts";
import { randomModel, randomTokens } from "../model.ts";
import { type Answer, ask, firstOf, graphql, tokenOf } from "./client.ts";
import { addRows, cancelRun, createRun, stepsAfter } from "./runs.ts";
import type { ServeOptions } from "./serve.ts";
import { startService } from "./service.ts";

export interface BesideOptions extends Omit<ServeOptions, "rounds"> {
  /** Rows of a step, of 128 tokens. */
  readonly batch: number;
  /** How long each part is measured. */
  readonly seconds: number;
  /** Threads set aside for requests. */
  readonly serveThreads?: number;
}

/** Of a time in which clients asked one question after the other. */
interface Asked {
  readonly clients: number;
  readonly answers: number;
  /** Seconds: the median and the largest first token, and the median of later ones. */
  readonly first: number;
  readonly slowest: number;
  readonly token: number;
  /** Of all clients. */
  readonly tokensPerSecond: number;
  /** Steps of the run meanwhile, per second; null without a run. */
  readonly steps: number | null;
}

export interface BesideResult {
  readonly bench: "beside";
  readonly options: BesideOptions;
  readonly device: string;
  /** Steps per second while nobody asks. */
  readonly steps: number;
  readonly withoutRun: readonly Asked[];
  readonly besideRun: readonly Asked[];
  readonly machine: Machine;
}

const name = "bench";
const rowTokens = 128;
const workersSchema = z.object({ workers: z.array(z.object({ device: z.string() })) });

export async function benchBeside(options: BesideOptions): Promise<BesideResult> {
  const folder = await randomModel(options.config, options.dtype);
  const { vocabulary } = folder.architecture;
  const { device, threads = 0, batch, clients, seconds, serveThreads = 0 } = options;
  const settings = { STEPLOG_SERVE_THREADS: String(serveThreads) };
  const service = await startService({ model: folder.path, name, vocabulary, device, threads, settings });
  const { url } = service;
  try {
    let seed = 0;
    const question = () => randomTokens(vocabulary, options.prompt, 9000 + seed++);
    const answers = (tokens: number) => ask(url, { model: name, prompt: question(), tokens });
    for (let warmUp = 0; warmUp < 12; warmUp++) await answers(4);
    const asking = (count: number, run: string | null) =>
      asked(count, seconds, () => answers(options.tokens + 1), run, url);
    const withoutRun = [await asking(1, null), await asking(clients, null)];
    const dataset = await addRows(url, vocabulary, 64, rowTokens);
    const shape = { baseModel: name, dataset, method: "FULL" as const, steps: 1_000_000, checkpointEvery: 0 };
    const run = await createRun(url, { ...shape, batchSize: batch });
    while ((await stepsAfter(url, run, 0)).length < 3) await delay(500);
    console.error("The run has begun, and is measured now.");
    const steps = await stepsPerSecond(url, run, () => delay(1000 * seconds));
    const besideRun = [await asking(1, run), await asking(clients, run)];
    await cancelRun(url, run);
    const { workers } = await graphql(url, "{ workers { device } }", {}, workersSchema);
    const opened = workers[0]?.device ?? device;
    return { bench: "beside", options, device: opened, steps, withoutRun, besideRun, machine: machine() };
  } finally {
    await service.stop();
  }
}

/** Each client asks again as soon as it has its answer, until the time is over. */
async function asked(
  clients: number,
  seconds: number,
  answer: () => Promise<Answer>,
  run: string | null,
  url: string,
): Promise<Asked> {
  const all: Answer[] = [];
  const started = performance.now();
  const client = async () => {
    while (performance.now() - started < 1000 * seconds) all.push(await answer());
  };
  const work = () => Promise.all(Array.from({ length: clients }, client));
  const steps = run === null ? (await work(), null) : await stepsPerSecond(url, run, work);
  const took = (performance.now() - started) / 1000;
  const firsts = all.map(firstOf);
  return {
    clients,
    answers: all.length,
    first: median(firsts),
    slowest: Math.max(...firsts),
    token: median(all.map(tokenOf)),
    tokensPerSecond: (mean(all.map(({ tokens }) => tokens)) * all.length) / took,
    steps,
  };
}

/** Steps of the run while something is done, by when they were stored. */
async function stepsPerSecond(url: string, run: string, work: () => Promise<unknown>): Promise<number> {
  const before = (await stepsAfter(url, run, 0)).length;
  const started = Date.now();
  await work();
  const seconds = (Date.now() - started) / 1000;
  const steps = (await stepsAfter(url, run, before)).filter((at) => at >= started);
  const [first, last] = [steps.at(0) ?? NaN, steps.at(-1) ?? NaN];
  // Between the first and the last, since a few long steps do not fill the time; steps are stored several at once.
  return steps.length < 4 || first === last ? steps.length / seconds : (steps.length - 1) / ((last - first) / 1000);
}

export function besideLines({ steps, withoutRun, besideRun }: BesideResult) {
  const line = (one: Asked) => {
    const first = `first token ${one.first.toFixed(2)} s, at most ${one.slowest.toFixed(2)}`;
    const rest = `later ones ${(1000 * one.token).toFixed(1)} ms, ${one.tokensPerSecond.toFixed(1)} tokens per second`;
    const run = one.steps === null ? "" : `; ${one.steps.toFixed(2)} steps per second`;
    return [`${one.clients} asking, ${one.steps === null ? "no run" : "a run"}`, `${first}; ${rest}${run}`] as const;
  };
  const alone = ["nobody asks", `${steps.toFixed(2)} steps per second`] as const;
  return [alone, ...withoutRun.map(line), ...besideRun.map(line)];
}
