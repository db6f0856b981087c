/**
 * How many seconds a run would take with each worker that could train it. What a worker measured before is kept in the store.
 * Idle ones are asked to measure, and have a while to answer; whoever is training is not disturbed.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Measurement, RunCounts, RunSeconds } from "../schema/estimate.ts";
import { paceless, placeOf, secondsOf } from "../schema/estimate.ts";
import type { Needs } from "../schema/jobs.ts";
import { version } from "../schema/package.ts";
import { canonicalJson } from "../schema/step-log.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { LiveWorker } from "../store/store.ts";
import type { Context } from "./context.ts";

/** What workers are asked about. */
export interface Asked {
  readonly counts: RunCounts;
  readonly baseModel: BaseModel;
  readonly needs: Needs;
  readonly measurement: Omit<Measurement, "key" | "baseModelId">;
  /** How long to wait for answers, in seconds. */
  readonly waitS: number;
}

/** Seconds, or why they are not known. */
export type WorkerSeconds =
  | { readonly seconds: RunSeconds; readonly unmeasured: null }
  | { readonly seconds: null; readonly unmeasured: string };

/** Of each of the workers, all of which could train the run, by name. */
export async function secondsByWorker(
  context: Context,
  workers: readonly LiveWorker[],
  { counts, baseModel, needs, waitS, measurement: rest }: Asked,
): Promise<ReadonlyMap<string, WorkerSeconds>> {
  const { speeds } = context.store;
  const key = keyOf(baseModel, rest);
  const measurement = { ...rest, key, baseModelId: baseModel.id };
  const kept = await speeds.kept(key);
  const free = workers.filter((worker) => !kept.has(placeOf(worker)) && canMeasure(worker));
  const asked = waitS > 0 ? free : [];
  await speeds.ask(asked.map((worker) => ({ worker, needs, measurement })));
  try {
    await answers(context, key, asked, waitS);
  } finally {
    if (asked.length > 0) await speeds.withdraw(key);
  }
  const [known, pending] = [await speeds.kept(key), await speeds.pending(key)];
  const resultOf = (worker: LiveWorker): WorkerSeconds => {
    const found = known.get(placeOf(worker));
    if (found) return { seconds: secondsOf(counts, found), unmeasured: null };
    return { seconds: null, unmeasured: whyUnmeasured(worker, asked.includes(worker), pending.has(worker.name)) };
  };
  return new Map(workers.map((worker) => [worker.name, resultOf(worker)]));
}

/** One that has a run is left alone; those of earlier releases do not measure. */
function canMeasure({ kinds, job }: LiveWorker): boolean {
  return kinds.includes("MEASURE") && (job === null || job.kind === "MEASURE");
}

function whyUnmeasured({ kinds, job }: LiveWorker, asked: boolean, measuring: boolean): string {
  if (!kinds.includes("MEASURE")) return "Its release does not measure.";
  if (measuring) return "It is still measuring. Ask again in a while.";
  if (job !== null && job.kind !== "MEASURE") return "It has other work, and measures only when it is idle.";
  if (!asked) return "It has not measured such a run yet, and was not asked to.";
  return "It could not measure, or had to do something else. Ask again; its log tells of errors.";
}

const pollMs = 200;

/** Returns when every worker has answered or given up, after the time, or when the client has left. */
async function answers(
  { store: { speeds }, signal }: Context,
  key: string,
  asked: readonly LiveWorker[],
  waitS: number,
): Promise<void> {
  const deadline = performance.now() + waitS * 1000;
  while (asked.length > 0 && performance.now() < deadline && !signal.aborted) {
    const pending = await speeds.pending(key);
    if (!asked.some(({ name }) => pending.has(name))) return;
    await delay(pollMs, undefined, { signal }).catch(() => {});
  }
}

function keyOf({ hash }: BaseModel, { hyperparameters, ...measurement }: Asked["measurement"]): string {
  const settings = Object.entries(hyperparameters).filter(([name]) => !paceless.has(name));
  const all = { version, hash, ...measurement, hyperparameters: Object.fromEntries(settings) };
  return createHash("sha256").update(canonicalJson(all)).digest("hex");
}
