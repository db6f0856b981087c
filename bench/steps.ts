/**
 * bench steps: a store with as many steps as a service makes in a long time, and what a client waits for there: creating a run,
 * lists, steps page by page, charts and logs, each asked of the gateway many times, one after the other. And what the steps take
 * on the disk.
 */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { baseHash, openModelFolder } from "../engine/model/files/folder.ts";
import { sum } from "../engine/numbers/mean.ts";
import { SteplogError } from "../schema/errors.ts";
import type { DiskUseKind } from "../schema/disk-use.ts";
import { operator } from "../schema/projects.ts";
import { packagePath } from "../schema/package.ts";
import type { Store } from "../store/store.ts";
import { withBenchStore } from "./bench-store.ts";
import type { Gateway } from "./gateway.ts";
import { type Machine, machine, median, quantile } from "./measure.ts";
import { graphql } from "./serve/client.ts";
import { createDataset } from "./serve/runs.ts";
import { FakeRun } from "./subscribers/fake-worker.ts";

export interface StepsOptions {
  /** Of all runs together. */
  readonly steps: number;
  readonly runs: number;
  /** Of each kind. */
  readonly requests: number;
}

/** Milliseconds until the whole answer was there. */
interface Waits {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

export interface StepsResult {
  readonly bench: "steps";
  readonly options: StepsOptions;
  readonly waits: Readonly<Record<string, Waits>>;
  /** Bytes a step, with indexes and what Postgres keeps besides: of the logs, and of the losses and times of steps. */
  readonly bytes: { readonly log: number; readonly metrics: number };
  /** Seconds to store them. */
  readonly seconds: number;
  readonly machine: Machine;
}

/** Of each kind, before they are counted. */
const warmUps = 10;

export async function benchSteps(options: StepsOptions): Promise<StepsResult> {
  return withBenchStore("steps", async ({ store, folder, startGateway }) => {
    const began = performance.now();
    const each = Math.ceil(options.steps / options.runs);
    const runs: string[] = [];
    for (let at = 0; at < options.runs; at++) runs.push(await trainedRun(store, each, `run ${at + 1}`));
    const seconds = (performance.now() - began) / 1_000;
    console.error("The steps are stored, and are read now.");
    await placeDemo(store, join(folder, "models"));
    const { parts } = await store.of(operator).accounts.diskUse();
    const bytesOf = (kind: DiskUseKind) =>
      sum(parts, (part) => (part.kind === kind ? part.databaseBytes : 0)) / (each * options.runs);
    const bytes = { log: bytesOf("LOGS"), metrics: bytesOf("METRICS") };
    const waits = await measured(await startGateway(), { runs, each, requests: options.requests });
    return { bench: "steps", options, waits, bytes, seconds, machine: machine() };
  });
}

async function trainedRun(store: Store, steps: number, name: string): Promise<string> {
  const run = await FakeRun.begin(store, steps, name);
  await run.appendAll(steps);
  await run.finish();
  return run.globalId;
}

/** The model whose runs are created. */
async function placeDemo(store: Store, models: string): Promise<void> {
  const path = join(models, "demo");
  await cp(packagePath("demo/base"), path, { recursive: true });
  const folder = await openModelFolder(path);
  const hash = await baseHash(folder);
  const about = { family: "opt", dtype: "F32", parameters: 1, bytes: 4, contextLength: 64 };
  await store.baseModels.register({ name: "demo", hash, ...about });
}

interface Stored {
  readonly runs: readonly string[];
  /** Steps of each. */
  readonly each: number;
  readonly requests: number;
}

async function measured({ url }: Gateway, { runs, each, requests }: Stored): Promise<StepsResult["waits"]> {
  const ask = (query: string, variables: object) => graphql(url, query, variables, z.unknown());
  const run = (at: number) => runs[(at * 37) % runs.length] ?? "";
  /** Somewhere in a run, another place each time. */
  const step = (at: number, room: number) => Math.floor(((at * 0.618) % 1) * Math.max(1, each - room));
  const rows = await readFile(packagePath("demo/train.jsonl"), "utf8");
  const dataset = await createDataset(url, rows);
  const kinds = {
    "create a run": (at: number) => ask(runMutation, { input: { name: `new ${at}`, baseModel: "demo", dataset } }),
    "list 50 runs": (at: number) => ask(listQuery, { reverse: at % 2 === 0 }),
    "1,000 steps of a run": (at: number) => ask(stepsQuery, { id: run(at), after: step(at, 1_000) }),
    "the chart of a run, 2,000 points": (at: number) => ask(chartQuery, { id: run(at) }),
    "a part of a chart": (at: number) => {
      const from = 1 + step(at, 20_000);
      return ask(partQuery, { id: run(at), from, to: from + 20_000 });
    },
    "the log of a run": (at: number) => download(`${url}/fine-tunes/${encodeURIComponent(run(at))}/log.steplog`),
  };
  const waits: Record<string, Waits> = {};
  for (const [kind, request] of Object.entries(kinds)) {
    const taken: number[] = [];
    for (let at = -warmUps; at < requests; at++) {
      const began = performance.now();
      await request(at + warmUps);
      if (at >= 0) taken.push(performance.now() - began);
    }
    waits[kind] = { median: median(taken), p99: quantile(taken, 0.99), max: Math.max(...taken) };
  }
  return waits;
}

async function download(url: string): Promise<void> {
  const response = await fetch(url);
  const bytes = await response.arrayBuffer();
  if (!response.ok || bytes.byteLength === 0)
    throw new SteplogError("INTERNAL", `A log was not sent: ${response.status}.`);
}

const runMutation = "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }";
const listQuery = `query ($reverse: Boolean) { fineTunes(first: 50, reverse: $reverse) { totalCount nodes {
  id name status createdAt progress { step } chart(points: 40) { loss } } } }`;
const stepsQuery = `query ($id: ID!, $after: Int!) { fineTune(id: $id) { metrics(afterStep: $after, first: 1000) {
  step loss projectedGradient learningRate seconds } } }`;
const chartQuery = "query ($id: ID!) { fineTune(id: $id) { chart(points: 2000) { count loss learningRate } } }";
const partQuery = `query ($id: ID!, $from: Int!, $to: Int!) { fineTune(id: $id) {
  chart(points: 2000, from: $from, to: $to) { count loss learningRate } } }`;

export function stepsLines({ options, waits, bytes, seconds }: StepsResult) {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const stored = `${bytes.log.toFixed(2)} bytes of log a step, ${bytes.metrics.toFixed(2)} of losses and times`;
  return [
    ["stored", `${options.steps.toLocaleString("en-US")} steps of ${options.runs} runs in ${seconds.toFixed(0)} s`],
    ["on the disk", stored],
    ...Object.entries(waits).map(
      ([kind, { median: middle, p99, max }]) =>
        [kind, `median ${ms(middle)}, p99 ${ms(p99)}, at most ${ms(max)}`] as const,
    ),
  ] as const;
}
