/**
 * bench serve: what the service adds to the engine, and what it gives to clients that ask at once, by the OpenAI protocol over
 * HTTP. Rounds of the engine alone, in a process of its own, take turns with rounds of the service.
 */
import { z } from "zod";
import type { WeightDtype } from "../../engine/devices/device.ts";
import { mean } from "../../engine/numbers/mean.ts";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";
import type { GenerateResult } from "../generate.ts";
import { type Machine, machine, median } from "../measure.ts";
import { randomModel, randomTokens } from "../model.ts";
import { outputOf } from "../output-of.ts";
import { startService } from "./service.ts";

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

/** Seconds to the first token, and seconds per later token. */
export interface Pace {
  readonly first: number;
  readonly token: number;
}

export interface ServeResult {
  readonly bench: "serve";
  readonly options: ServeOptions;
  readonly device: string;
  /** Medians over the rounds: the engine alone, and one client. */
  readonly engine: Pace;
  readonly client: Pace;
  /** All clients at once: tokens per second of all of them, and the median of their first tokens. */
  readonly together: { readonly tokensPerSecond: number; readonly first: number };
  readonly machine: Machine;
}

const modelName = "bench";

/** The first requests wait for the model, for code that is compiled, and for statements that each connection prepares. */
const warmUps = 12;

export async function benchServe(options: ServeOptions): Promise<ServeResult> {
  const folder = await randomModel(options.config, options.dtype);
  const { vocabulary } = folder.architecture;
  const { device, threads } = options;
  const place = { device, ...(threads !== undefined && { threads }) };
  const service = await startService({ model: folder.path, name: modelName, vocabulary, ...place });
  try {
    const ask = (seed: number) => askOnce(service.url, randomTokens(vocabulary, options.prompt, seed), options.tokens);
    for (let seed = 0; seed < warmUps; seed++) await askOnce(service.url, randomTokens(vocabulary, 64, seed), 3);
    const engine: GenerateResult[] = [];
    const alone: Answer[] = [];
    const together: Answer[][] = [];
    for (let round = 0; round < options.rounds; round++) {
      engine.push(await engineAlone(options));
      alone.push(await ask(1000 * round + 2));
      const all = Array.from({ length: options.clients }, (_, at) => ask(1000 * round + 3 + at));
      together.push(await Promise.all(all));
    }
    return {
      bench: "serve",
      options,
      device: engine[0]?.device ?? device,
      engine: {
        first: median(engine.map(({ first }) => first.median)),
        token: median(engine.map(({ token }) => token.median)),
      },
      client: { first: median(alone.map(firstOf)), token: median(alone.map(tokenOf)) },
      together: {
        tokensPerSecond: mean(together.map(rateOf)),
        first: median(together.flatMap((answers) => answers.map(firstOf))),
      },
      machine: machine(),
    };
  } finally {
    await service.stop();
  }
}

async function engineAlone(options: ServeOptions): Promise<GenerateResult> {
  const { config, device, prompt, tokens, threads } = options;
  const dtype = options.dtype === "BF16" ? "bf16" : "f32";
  const multiply = options.dtype === "BF16" ? "bfloat16" : "float32";
  const flags = { config, dtype, multiply, device, prompt, tokens, threads, runs: 1 };
  const args = Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return JSON.parse(
    await outputOf(process.execPath, [programPath("bench/main"), "generate", ...args, "--json"]),
  ) as GenerateResult;
}

/** Moments of an answer, in milliseconds of performance.now(). */
interface Answer {
  readonly asked: number;
  readonly first: number;
  readonly last: number;
  readonly tokens: number;
}

const firstOf = ({ asked, first }: Answer) => (first - asked) / 1000;
const tokenOf = ({ first, last, tokens }: Answer) => (last - first) / 1000 / (tokens - 1);

/** Tokens per second from the first question to the last answer, prompts included. */
function rateOf(answers: readonly Answer[]): number {
  const start = Math.min(...answers.map(({ asked }) => asked));
  const end = Math.max(...answers.map(({ last }) => last));
  return answers.reduce((total, { tokens }) => total + tokens, 0) / ((end - start) / 1000);
}

const chunk = z.object({
  choices: z.array(z.object({ text: z.string() })),
  usage: z.object({ completion_tokens: z.int() }).nullish(),
});

/** One streamed completion, greedy. @throws SteplogError UNAVAILABLE if the service answers anything but tokens */
async function askOnce(url: string, prompt: readonly number[], more: number): Promise<Answer> {
  const asked = performance.now();
  const stream = { stream: true, stream_options: { include_usage: true } };
  const body = JSON.stringify({ model: modelName, prompt, max_tokens: more + 1, temperature: 0, ...stream });
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  if (!response.ok || !response.body)
    throw new SteplogError("UNAVAILABLE", `The service answered ${response.status}: ${await response.text()}`);
  let first: number | null = null;
  let last = 0;
  let tokens = 0;
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: {")) continue;
      const { choices, usage } = chunk.parse(JSON.parse(line.slice("data: ".length)));
      if (choices.length > 0) first ??= performance.now();
      if (choices.length > 0) last = performance.now();
      tokens = usage?.completion_tokens ?? tokens;
    }
  }
  if (first === null || tokens < 2) throw new SteplogError("UNAVAILABLE", `The answer has ${tokens} tokens.`);
  return { asked, first, last, tokens };
}
