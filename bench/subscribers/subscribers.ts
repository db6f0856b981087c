/**
 * bench subscribers: many clients of one gateway that follow runs, some of them slow and some stalled. Gateway, subscribers and
 * the worker's part are processes of their own, on one machine; a delay is from the commit of a step, as the worker sees it,
 * to its receipt.
 */
import { fork } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { programPath } from "../../schema/package.ts";
import { withBenchStore } from "../bench-store.ts";
import { type Gateway, heard } from "../gateway.ts";
import { type Machine, machine, quantile } from "../measure.ts";
import { FakeRun } from "./fake-worker.ts";
import { type Report, type Subscriber, readySchema, reportSchema } from "./plan.ts";

export interface SubscribersOptions {
  readonly subscribers: number;
  /** Percent of them. */
  readonly slow: number;
  readonly stalled: number;
  /** Of subscribers that read server-sent events; the others use WebSockets. */
  readonly sse: number;
  readonly runs: number;
  /** Commits a second of each run, and steps of each. */
  readonly updates: number;
  readonly steps: number;
  readonly seconds: number;
  readonly processes: number;
}

interface Delays {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface SubscribersResult {
  readonly bench: "subscribers";
  readonly options: SubscribersOptions;
  /** Milliseconds. */
  readonly fast: Delays;
  readonly slow: Delays;
  /** How many received every step once and in order, and how many there were. */
  readonly complete: { readonly fast: number; readonly slow: number };
  readonly readers: { readonly fast: number; readonly slow: number };
  readonly wrong: number;
  readonly broken: number;
  /** Cores that the gateway, and all subscribers, used on average. */
  readonly cores: { readonly gateway: number; readonly subscribers: number };
  /** Resident memory of the gateway, MB: once all had subscribed, after half the time, at the end. */
  readonly memory: readonly [number, number, number];
  readonly machine: Machine;
}

export async function benchSubscribers(options: SubscribersOptions): Promise<SubscribersResult> {
  return withBenchStore("subscribers", async ({ store, startGateway }) => {
    const steps = options.updates * options.steps * options.seconds;
    const runs: FakeRun[] = [];
    for (let run = 0; run < options.runs; run++) runs.push(await FakeRun.begin(store, steps));
    return measure(options, runs, await startGateway());
  });
}

async function measure(
  options: SubscribersOptions,
  runs: readonly FakeRun[],
  gateway: Gateway,
): Promise<SubscribersResult> {
  const subscribers = subscribersOf(options, runs);
  const children = Array.from({ length: options.processes }, (_, at) => {
    const mine = subscribers.filter((_one, index) => index % options.processes === at);
    const child = fork(programPath("bench/subscribers/child"));
    child.send({ url: gateway.url, subscribers: mine });
    return child;
  });
  try {
    await Promise.all(children.map((child) => heard(child, readySchema)));
    const memory = [gateway.residentMb()];
    const [cpu, began] = [gateway.cpuSeconds(), performance.now()];
    const halfway = delay(options.seconds * 500).then(() => memory.push(gateway.residentMb()));
    await Promise.all(runs.map((run, at) => train(run, options, at / runs.length)));
    await halfway;
    const elapsed = (performance.now() - began) / 1_000;
    const cores = (gateway.cpuSeconds() - cpu) / elapsed;
    memory.push(gateway.residentMb());
    await Promise.all(runs.map((run) => run.finish()));
    // Those who are behind catch up; the slow ones need a few of their pauses.
    await delay(5_000);
    const committed = runs.map((run) => run.committed);
    const reports = await Promise.all(
      children.map((child) => {
        child.send({ committed });
        return heard(child, reportSchema);
      }),
    );
    return resultOf({ options, reports, subscribers, cores, elapsed, memory });
  } finally {
    for (const child of children) child.kill();
  }
}

/** Selections and cursors differ, as those of clients do. Stalled ones ask for much, so that buffers of the system fill up. */
function subscribersOf(options: SubscribersOptions, runs: readonly FakeRun[]): Subscriber[] {
  const { subscribers, slow, stalled, sse } = options;
  const isOf = (index: number, percent: number) => (index * 37) % 100 < percent;
  return Array.from({ length: subscribers }, (_, index) => {
    const run = index % runs.length;
    const pace = isOf(index, stalled) ? "stalled" : isOf(index, stalled + slow) ? "slow" : "fast";
    return {
      run,
      id: runs[run]?.globalId ?? "",
      after: 0,
      transport: isOf(Math.floor(index / 100) + 7 * index, sse) ? "sse" : "websocket",
      pace,
      query: queryOf(pace === "stalled" ? long : (selections[index % selections.length] ?? "")),
    };
  });
}

const selections = ["step { loss }", "step { step loss learningRate }", "step { loss projectedGradient at }", ""];
const long = `step { ${Array.from({ length: 12 }, (_, at) => `${"x".repeat(150)}${at}: skipped`).join(" ")} }`;
const queryOf = (selection: string) =>
  `subscription ($id: ID!, $after: Int) { steps(fineTuneId: $id, after: $after) { cursor ${selection} } }`;

/** At even times, whatever an append takes. */
async function train(run: FakeRun, { updates, steps, seconds }: SubscribersOptions, offset: number): Promise<void> {
  const began = performance.now() + (1_000 / updates) * offset;
  for (let update = 0; update < updates * seconds; update++) {
    await delay(Math.max(0, began + (update * 1_000) / updates - performance.now()));
    await run.append(steps);
  }
}

interface Measured {
  readonly options: SubscribersOptions;
  readonly reports: readonly Report[];
  readonly subscribers: readonly Subscriber[];
  readonly cores: number;
  readonly elapsed: number;
  readonly memory: readonly number[];
}

function resultOf({ options, reports, subscribers, cores, elapsed, memory }: Measured): SubscribersResult {
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
  const readers = (pace: "fast" | "slow") => subscribers.filter((one) => one.pace === pace).length;
  const [first = 0, second = 0, third = 0] = memory;
  return {
    bench: "subscribers",
    options,
    fast: delaysOf(reports.flatMap(({ delays }) => delays.fast)),
    slow: delaysOf(reports.flatMap(({ delays }) => delays.slow)),
    complete: { fast: sum(({ complete }) => complete.fast), slow: sum(({ complete }) => complete.slow) },
    readers: { fast: readers("fast"), slow: readers("slow") },
    wrong: sum(({ wrong }) => wrong),
    broken: sum(({ broken }) => broken),
    cores: { gateway: cores, subscribers: sum(({ cpuSeconds }) => cpuSeconds) / elapsed },
    memory: [first, second, third],
    machine: machine(),
  };
}

function delaysOf(delays: readonly number[]): Delays {
  const at = (share: number) => quantile(delays, share);
  return { count: delays.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

export function subscribersLines({ fast, slow, complete, readers, wrong, broken, cores, memory }: SubscribersResult) {
  const ms = ({ count, p50, p99, max }: Delays) =>
    `${p50} ms, p99 ${p99} ms, at most ${max} ms, of ${count} steps received`;
  return [
    ["fast", ms(fast)],
    ["slow", ms(slow)],
    ["complete", `${complete.fast} of ${readers.fast} fast, ${complete.slow} of ${readers.slow} slow`],
    ["wrong", `${wrong} steps twice or out of order; ${broken} connections ended and resumed`],
    ["cores", `${cores.gateway.toFixed(2)} gateway, ${cores.subscribers.toFixed(2)} subscribers`],
    ["memory", `${memory.map((mb) => mb.toFixed(0)).join(", ")} MB: at the start, halfway, at the end`],
  ] as const;
}
