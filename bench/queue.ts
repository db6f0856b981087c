/**
 * bench queue: runs that wait, and how long it takes to say how much work there is and for how many workers: what `steplog queue`
 * and the metrics ask now and then, and an autoscaler every few seconds.
 */
import type { Share } from "../store/store.ts";
import { withBenchStore } from "./bench-store.ts";
import { type Machine, machine, median, quantile } from "./measure.ts";
import { createRun } from "./subscribers/fake-worker.ts";

export interface QueueOptions {
  readonly runs: number;
  /** Of each kind. */
  readonly requests: number;
}

/** Milliseconds. */
interface Waits {
  readonly median: number;
  readonly p99: number;
}

export interface QueueResult {
  readonly bench: "queue";
  readonly options: QueueOptions;
  readonly waits: Readonly<Record<string, Waits>>;
  readonly machine: Machine;
}

/** Runs that are created at once. */
const together = 8;
const scaler: Share = { pool: "cpu", belowBytes: 16e9 };

export async function benchQueue(options: QueueOptions): Promise<QueueResult> {
  const waits = await withBenchStore(
    "queue",
    async ({ store }) => {
      for (let made = 0; made < options.runs; made += together) {
        const some = Array.from({ length: Math.min(together, options.runs - made) }, (_, at) => `run ${made + at}`);
        await Promise.all(some.map((name) => createRun(store, 100, name)));
      }
      return {
        "all work, by what it needs": await timed(options.requests, () => store.queue.depth()),
        "workers wanted": await timed(options.requests, () => store.queue.workersWanted()),
        "workers wanted of a pool": await timed(options.requests, () => store.queue.workersWanted(scaler)),
      };
    },
    { durable: false },
  );
  return { bench: "queue", options, waits, machine: machine() };
}

async function timed(requests: number, ask: () => Promise<unknown>): Promise<Waits> {
  await ask();
  const taken: number[] = [];
  for (let request = 0; request < requests; request++) {
    const began = performance.now();
    await ask();
    taken.push(performance.now() - began);
  }
  return { median: median(taken), p99: quantile(taken, 0.99) };
}

export function queueLines({ options, waits }: QueueResult) {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return [
    ["waiting", `${options.runs.toLocaleString("en-US")} runs`],
    ...Object.entries(waits).map(
      ([what, { median: middle, p99 }]) => [what, `median ${ms(middle)}, p99 ${ms(p99)}`] as const,
    ),
  ] as const;
}
