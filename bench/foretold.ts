/**
 * bench foretold: what estimateFineTune says that runs will take, and what they then took, in a service of its own. Each round
 * has a new one, which has measured nothing yet, and asks for each run just before it is made.
 *
 * What a run took is the time that it was trained (trainedSeconds): its wait for the worker, and what its start and its end
 * take, are not in it. So the start that was foretold is left out too, and is printed beside what it took.
 */
import { readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { packagePath, programPath } from "../schema/package.ts";
import type { Contender } from "./learning.ts";
import { type Machine, machine, median } from "./measure.ts";
import { randomModel } from "./model.ts";
import { outputOf } from "./output-of.ts";
import { graphql } from "./serve/client.ts";
import { addRows, createDataset } from "./serve/runs.ts";
import { type Service, startOwnService, startService } from "./serve/service.ts";

export interface ForetoldOptions {
  readonly device: string;
  readonly threads?: number;
  readonly rounds: number;
  /** Random weights of a config and rows of random tokens; the demo's base and rows when left out. */
  readonly config?: string;
  /** Whether `steplog follow` is told of every step, on the same machine. */
  readonly followed?: boolean;
  readonly runs: readonly Contender[];
}

/** Seconds of a run, without its start and its end. */
interface Parts {
  readonly start: number;
  readonly steps: number;
  /** Evaluations and checkpoints. */
  readonly others: number;
}

interface Round {
  readonly foretold: Parts;
  readonly took: Parts;
  /** Of the machine meanwhile. */
  readonly load: number;
}

interface ForetoldRun extends Contender {
  readonly rounds: readonly Round[];
}

export interface ForetoldResult {
  readonly bench: "foretold";
  readonly options: ForetoldOptions;
  readonly runs: readonly ForetoldRun[];
  readonly machine: Machine;
}

const methods = ["FULL", "LORA", "HEAD", "PREFIX"] as const;
const estimators = {
  SPSA: { estimator: "SPSA", learningRate: 1e-6, steps: 1_200 },
  "FZOO of 8": { estimator: "FZOO", estimates: 8, learningRate: 1e-4, steps: 300 },
} as const;

export const usualRuns: readonly Contender[] = [
  ...Object.entries(estimators).flatMap(([name, settings]) =>
    methods.map((method) => ({ name: `${method}, ${name}`, settings: { ...settings, method, evaluateEvery: 150 } })),
  ),
  { name: "the defaults", settings: { steps: 400 } },
];

export async function benchForetold(options: ForetoldOptions): Promise<ForetoldResult> {
  const rounds: Round[][] = options.runs.map(() => []);
  const { followed = false } = options;
  for (let round = 0; round < options.rounds; round++) {
    const { service, run } = await started(options);
    try {
      for (const [at, { name, settings }] of options.runs.entries()) {
        const seen = await foretoldAndMade(service, { ...run, name, hyperparameters: settings }, followed);
        console.error(`${name}: ${ratioOf(seen).toFixed(2)}`);
        rounds[at]?.push(seen);
      }
    } finally {
      await service.stop();
    }
  }
  const runs = options.runs.map((run, at) => ({ ...run, rounds: rounds[at] ?? [] }));
  return { bench: "foretold", options, runs, machine: machine() };
}

/** A service, and the model and rows of its runs. */
async function started({ device, threads = 0, config }: ForetoldOptions) {
  if (config === undefined) {
    const service = await startOwnService({ STEPLOG_DEVICE: device, STEPLOG_THREADS: String(threads) });
    const rows = (name: string) => readFile(packagePath(`demo/${name}.jsonl`), "utf8");
    const dataset = await createDataset(service.url, await rows("train"));
    const validationDataset = await createDataset(service.url, await rows("validation"));
    return { service, run: { baseModel: "demo", dataset, validationDataset, labelWords: [" great", " terrible"] } };
  }
  const { path: model, architecture } = await randomModel(config, "F32");
  const { vocabulary } = architecture;
  const service = await startService({ model, name: "bench", vocabulary, device, threads });
  const dataset = await addRows(service.url, vocabulary, 512, 64);
  const validationDataset = await addRows(service.url, vocabulary, 64, 64);
  return { service, run: { baseModel: "bench", dataset, validationDataset } };
}

async function foretoldAndMade({ url }: Service, input: object, followed: boolean): Promise<Round> {
  const foretold = await estimated(url, input);
  const { createFineTune } = await graphql(url, runMutation, { input }, runSchema);
  const { id } = createFineTune.fineTune;
  if (followed) await outputOf(process.execPath, [programPath("cli/steplog"), "follow", id, "--url", url]);
  const { progress, finishedAt, startedAt } = await ended(url, id);
  const steps = await secondsOfSteps(url, id);
  const whole = (Date.parse(finishedAt ?? "") - Date.parse(startedAt ?? "")) / 1_000;
  const took = { start: whole - progress.trainedSeconds, steps, others: progress.trainedSeconds - steps };
  return { foretold, took, load: loadavg()[0] ?? NaN };
}

async function ended(url: string, id: string): Promise<z.output<typeof runStateSchema>["node"]> {
  for (;;) {
    const { node } = await graphql(url, runQuery, { id }, runStateSchema);
    if (node.status === "SUCCEEDED") return node;
    if (node.status === "FAILED") throw new SteplogError("INTERNAL", `The run failed: ${JSON.stringify(node.error)}`);
    // Seldom, since it takes time from the worker.
    await delay(500);
  }
}

async function estimated(url: string, input: object): Promise<Parts> {
  const { estimateFineTune } = await graphql(url, estimateQuery, { input }, estimateSchema);
  const { errors, counts, workers } = estimateFineTune;
  const [worker] = workers;
  if (!worker?.seconds) {
    throw new SteplogError("INTERNAL", `Nothing was foretold: ${JSON.stringify([errors, worker?.unmeasured])}`);
  }
  const { total, start, steps } = worker.seconds;
  // A run is not being trained yet while its learning rate is chosen.
  const probes = counts ? (steps * counts.probes.tokens) / (counts.probes.tokens + counts.steps.tokens) : 0;
  return { start: start + probes, steps: steps - probes, others: total - start - steps };
}

async function secondsOfSteps(url: string, id: string, afterStep = 0): Promise<number> {
  const { node } = await graphql(url, stepsQuery, { id, afterStep }, stepsSchema);
  const seconds = node.metrics.reduce((sum, step) => sum + step.seconds, 0);
  return node.metrics.length < stepsAtOnce
    ? seconds
    : seconds + (await secondsOfSteps(url, id, afterStep + node.metrics.length));
}

/** As many as the service gives in one answer. */
const stepsAtOnce = 2_000;

/** What was foretold, divided by what was taken. */
function ratioOf({ foretold, took }: Round): number {
  return (foretold.steps + foretold.others) / (took.steps + took.others);
}

export function foretoldTable({ runs }: ForetoldResult): string {
  const line = ({ name, rounds }: ForetoldRun) => {
    const some = (of: (round: Round) => number) => median(rounds.map((round) => of(round))).toFixed(2);
    const part = (name: keyof Parts) => `${some(({ foretold }) => foretold[name])} / ${some(({ took }) => took[name])}`;
    const all = rounds.map((round) => ratioOf(round).toFixed(2)).join(", ");
    return [name, some(ratioOf), all, part("steps"), part("others"), part("start"), some(({ load }) => load)];
  };
  const head = ["run", "foretold / took", "each round", "s of steps", "s of the rest", "s before and after", "load"];
  const rows = [head, head.map(() => "---"), ...runs.map(line)];
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const estimateQuery = `query ($input: CreateFineTuneInput!) { estimateFineTune(input: $input, waitSeconds: 60) {
  errors { message } counts { steps { tokens } probes { tokens } } workers { unmeasured seconds { total start steps } } } }`;
const runMutation = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
const runQuery = `query ($id: ID!) { node(id: $id) { ... on FineTune { status startedAt finishedAt error { message }
  progress { trainedSeconds } } } }`;
const stepsQuery = `query ($id: ID!, $afterStep: Int!) { node(id: $id) { ... on FineTune {
  metrics(afterStep: $afterStep, first: ${stepsAtOnce}) { seconds } } } }`;
const runSchema = z.object({ createFineTune: z.object({ fineTune: z.object({ id: z.string() }) }) });
const tokensSchema = z.object({ tokens: z.number() });
const secondsSchema = z.object({ total: z.number(), start: z.number(), steps: z.number() });
const estimateSchema = z.object({
  estimateFineTune: z.object({
    errors: z.array(z.object({ message: z.string() })),
    counts: z.object({ steps: tokensSchema, probes: tokensSchema }).nullable(),
    workers: z.array(z.object({ unmeasured: z.string().nullable(), seconds: secondsSchema.nullable() })),
  }),
});
const runStateSchema = z.object({
  node: z.object({
    status: z.string(),
    startedAt: z.string().nullable(),
    finishedAt: z.string().nullable(),
    error: z.unknown(),
    progress: z.object({ trainedSeconds: z.number() }),
  }),
});
const stepsSchema = z.object({ node: z.object({ metrics: z.array(z.object({ seconds: z.number() })) }) });
