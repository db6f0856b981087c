/**
 * Measures how fast a run would be: its own first steps, then some rows of each evaluation, each for a second or two, or as long as two steps take. The model is a copy that is thrown away, so steps change weights as those of a run do.
 */
import type { RunSpeeds } from "../../schema/estimate.ts";
import { limits } from "../../schema/limits.ts";
import { encodeHeader } from "../../schema/step-log.ts";
import type { EvaluationKind } from "../../schema/states.ts";
import type { Device } from "../devices/device.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import { sum } from "../numbers/mean.ts";
import type { EngineMessage, FineTuneRequest, MeasureRequest } from "../thread/messages.ts";
import { Stopped, stopCheck } from "../thread/stopping.ts";
import type { RunData } from "../train/data.ts";
import { beginning, tokensOfStep, train } from "../train/mezo.ts";
import type { PreparedRun } from "../train/prepare.ts";
import { prepareRun } from "../train/prepare.ts";
import type { MezoSettings } from "../train/settings.ts";
import type { Count } from "./count.ts";
import { counterOf, countStep, evaluationsOf } from "./count.ts";

interface Budget {
  /** Seconds of steps: two at least, whatever they take. */
  readonly steps: number;
  /** Seconds of an evaluation, or all of its rows. */
  readonly evaluation: number;
}

const usual: Budget = { steps: 2.5, evaluation: 0.4 };
/** What comes before this part of them is left out: code is compiled, and weights are read from the disk. */
const warmingPart = 0.25;
/** Rows of an evaluation that are tried first. */
const firstRows = 32;
/** Steps of one batch change next to nothing at this rate. */
const smallRate = 1e-12;

/** Its log and its steps come as messages, so that passing them on and storing them is measured too; then `measured`, or `stopped`. @throws as runFineTune does */
export async function* measureRun(
  { run, startedAt }: Pick<MeasureRequest, "run" | "startedAt">,
  device: Device,
  stopping: () => boolean,
  calls: ForeignCalls,
  budget = usual,
): AsyncGenerator<EngineMessage> {
  const check = stopCheck(stopping);
  const { hyperparameters } = run;
  try {
    // AUTO would measure dozens of batches, and the rate does not change how long a step takes.
    const request = { ...run, hyperparameters: { ...hyperparameters, learningRate: smallRate } };
    const prepared = await prepareRun(request, device, check, calls);
    const start = Number(process.hrtime.bigint() - startedAt) / 1e9;
    yield { type: "began", headerBytes: encodeHeader(prepared.header), pickedRate: null, replaySeconds: 0 };
    const count = await counterOf(prepared.model.folder, hyperparameters);
    const steps = yield* measureSteps(prepared, count, budget.steps);
    const evaluationToken = await measureEvaluations(prepared, hyperparameters, count, budget.evaluation);
    const digesting = performance.now();
    await prepared.model.digest();
    const speeds: RunSpeeds = {
      start: start + steps.warming,
      stepToken: steps.token,
      evaluationToken,
      checkpoint: secondsSince(digesting),
    };
    yield { type: "measured", speeds };
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    yield { type: "stopped" };
  }
}

/** Seconds of a token, and those by which the first steps took longer. */
async function* measureSteps(
  { model, data, settings }: PreparedRun,
  count: Count,
  most: number,
): AsyncGenerator<EngineMessage, { token: number; warming: number }> {
  const own = endless(settings);
  // Where the number of estimates changes, the middle stands for all.
  const first = { ...beginning, step: own.estimatesAtEnd ? Math.floor((own.steps - 1) / 2) : 0 };
  const ends: number[] = [];
  const done: number[] = [];
  const began = performance.now();
  while (secondsSince(began) < most || done.length < 2) {
    for await (const step of train(model, data.objective, own, first)) {
      const seconds = secondsSince(began);
      const tokens = tokensOfStep(data, own, step.step);
      yield { type: "step", ...step, seconds: seconds - (ends.at(-1) ?? 0), tokens };
      ends.push(seconds);
      done.push(step.step - 1);
      if (secondsSince(began) >= most && done.length >= 2) break;
    }
  }
  return speedOf(ends, await tokensOf(done, own, data, count));
}

/** A run that is long enough to measure; its schedule of estimates has to end where it does. */
function endless(settings: MezoSettings): MezoSettings {
  return settings.estimatesAtEnd ? settings : { ...settings, steps: limits.steps };
}

async function tokensOf(done: readonly number[], settings: MezoSettings, { objective }: RunData, count: Count) {
  const tokens: number[] = [];
  for (const t of done) tokens.push((await countStep(settings, objective, t, count)).tokens);
  return tokens;
}

/** `ends` are seconds since the start of the first step. */
function speedOf(ends: readonly number[], tokens: readonly number[]) {
  const last = ends.at(-1) ?? 0;
  // The first step is left out in any case, and the last one never.
  const warm = Math.min(
    Math.max(
      1,
      ends.findIndex((end) => end > last * warmingPart),
    ),
    ends.length - 1,
  );
  const from = ends[warm - 1] ?? 0;
  const token = (last - from) / sum(tokens.slice(warm), Number);
  return { token, warming: Math.max(0, from - token * sum(tokens.slice(0, warm), Number)) };
}

async function measureEvaluations(
  { model, data }: PreparedRun,
  hyperparameters: FineTuneRequest["hyperparameters"],
  count: Count,
  most: number,
): Promise<RunSpeeds["evaluationToken"]> {
  const speeds: Partial<Record<EvaluationKind, number>> = {};
  for (const { kind, rows, part } of evaluationsOf(hyperparameters, data)) {
    const measured = kind === "IN_CONTEXT" || kind === "LINEAR_PROBE" ? model.bare : model;
    for (let share = Math.min(1, firstRows / rows); ; share = Math.min(1, 4 * share)) {
      const seconds = await usualSeconds(() => part(share).measure(measured), share < 1 ? 0 : most);
      if (seconds < most && share < 1) continue;
      speeds[kind] = seconds / (await count(part(share).count)).tokens;
      break;
    }
  }
  return speeds;
}

/** The mean of as many times as `most` seconds allow, one at least. */
async function usualSeconds(work: () => Promise<unknown>, most: number): Promise<number> {
  const began = performance.now();
  let times = 0;
  do {
    await work();
    times += 1;
  } while (secondsSince(began) < most);
  return secondsSince(began) / times;
}

function secondsSince(time: number): number {
  return (performance.now() - time) / 1000;
}
