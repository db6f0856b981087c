/**
 * How long a run will still be trained, from what was measured of it, or of another run that costs the same. Evaluations and
 * checkpoints that are still to come are counted with what the last ones took; seconds are those from one message to the
 * next (engine/train/training-time.ts), so pauses and restarts are in none of them.
 *
 * Nothing is known of an early end, or of a machine that becomes slower.
 */
import { estimatesAt, estimatesFrom } from "../../schema/estimates.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import type { EvaluationKind } from "../../schema/states.ts";

/** What was measured of a run. Seconds are null where a worker of an earlier release measured. */
export interface Measured {
  /** Some of its last steps. */
  readonly steps: readonly { readonly step: number; readonly seconds: number }[];
  /** In order. */
  readonly evaluations: readonly TimedEvaluation[];
  /** In order. */
  readonly checkpoints: readonly { readonly step: number; readonly seconds: number | null }[];
}

interface TimedEvaluation {
  readonly kind: EvaluationKind;
  readonly step: number;
  readonly seconds: number | null;
}

/** Where a run is, and what it is to do. */
export interface Position {
  readonly settings: Hyperparameters;
  readonly stepsDone: number;
  readonly validates: boolean;
  readonly tests: boolean;
  readonly evaluated: readonly Pick<TimedEvaluation, "kind" | "step">[];
  /** Seconds that it has trained, which maxSeconds bounds. */
  readonly trainedSeconds: number;
}

/** Seconds of one of each. */
export interface Pace {
  /** By estimate: a step of more of them takes longer. */
  readonly estimate: number;
  /** Of each kind that was measured. */
  readonly evaluation: Readonly<Partial<Record<EvaluationKind, number>>>;
  readonly checkpoint: number;
  /** Of the evaluations between steps, the share that was the best so far, and so had a checkpoint. */
  readonly bestShare: number;
}

/** A step that took so many times what others take was not slow by itself: the machine slept, or did something else. */
const longest = 10;
/** Evaluations and checkpoints are expected to take the mean of so many last ones. */
const lastFew = 3;

/** Null before the first step. */
export function paceOf({ steps, evaluations, checkpoints }: Measured, settings: Hyperparameters): Pace | null {
  // The first step takes longer: it is the first to need all of the code and of the memory.
  const warm = steps.length > 1 ? steps.filter(({ step }) => step > 1) : steps;
  const each = warm.map(({ step, seconds }) => seconds / estimatesAt(settings, step - 1));
  const usual = each.toSorted((a, b) => a - b)[Math.floor(each.length / 2)];
  if (usual === undefined) return null;
  const between = evaluations.filter(({ kind, step }) => kind === "VALIDATION" && step > 0 && step < settings.steps);
  const best = between.filter(({ step }) => checkpoints.some((one) => one.step === step));
  return {
    estimate: mean(each.map((seconds) => Math.min(seconds, longest * usual))) ?? usual,
    evaluation: evaluationPace(evaluations),
    checkpoint: recent(checkpoints) ?? 0,
    bestShare: between.length > 0 ? best.length / between.length : 1,
  };
}

function evaluationPace(evaluations: readonly TimedEvaluation[]): Pace["evaluation"] {
  const kinds = [...new Set(evaluations.map(({ kind }) => kind))];
  const timed = kinds.map((kind) => [kind, recent(evaluations.filter((one) => one.kind === kind))] as const);
  return Object.fromEntries(timed.filter(([, seconds]) => seconds !== null));
}

/**
 * Null where something is to come of which nobody knows how long it takes.
 * @param waited seconds since the last that was measured of it
 */
export function secondsLeft(position: Position, pace: Pace, waited = 0): number | null {
  const { settings, stepsDone, validates } = position;
  const { steps, evaluateEvery, checkpointEvery, maxSeconds } = settings;
  const due = validates ? multiples(stepsDone, steps, evaluateEvery) : 0;
  const [start, now, each, end] = [
    evaluationSeconds(startOf(position), pace),
    evaluationSeconds(dueNow(position), pace),
    evaluationSeconds(due > 0 ? ["VALIDATION"] : [], pace),
    evaluationSeconds(endOf(position), pace),
  ];
  if (start === null || now === null || each === null || end === null) return null;
  const checkpoints = due * pace.bestShare + multiples(stepsDone, steps, checkpointEvery);
  const training =
    start + now + estimatesFrom(settings, stepsDone) * pace.estimate + due * each + checkpoints * pace.checkpoint;
  const most = maxSeconds > 0 ? Math.max(0, maxSeconds - position.trainedSeconds) : Infinity;
  const next = start + now || (stepsDone < steps ? pace.estimate * estimatesAt(settings, stepsDone) : end);
  return Math.max(0, Math.min(training, most) + pace.checkpoint + end - Math.min(waited, next));
}

/** What is measured before the first step, and is not yet. */
function startOf({ settings, stepsDone, validates, tests, evaluated }: Position): EvaluationKind[] {
  if (stepsDone > 0) return [];
  const { inContextRows, linearProbe } = settings;
  const kinds: EvaluationKind[] = [
    ...(validates ? (["VALIDATION"] as const) : []),
    ...(inContextRows > 0 ? (["IN_CONTEXT"] as const) : []),
    ...(tests ? (["TEST"] as const) : []),
    ...(linearProbe ? (["LINEAR_PROBE"] as const) : []),
  ];
  return kinds.filter((kind) => !evaluated.some((one) => one.kind === kind));
}

/** What is measured after a step that is not the last one, before the next. */
function dueNow({ settings, stepsDone, validates, evaluated }: Position): EvaluationKind[] {
  const { steps, evaluateEvery } = settings;
  const isDue = stepsDone > 0 && stepsDone < steps && evaluateEvery > 0 && stepsDone % evaluateEvery === 0;
  return validates && isDue && !isValidated(evaluated, stepsDone) ? ["VALIDATION"] : [];
}

/** What is measured after the last step. */
function endOf({ settings, stepsDone, validates, tests, evaluated }: Position): EvaluationKind[] {
  const isTested = evaluated.some(({ kind, step }) => kind === "TEST" && step > 0);
  return [
    ...(validates && !isValidated(evaluated, settings.steps) ? (["VALIDATION"] as const) : []),
    ...(tests && !(isTested && stepsDone > 0) ? (["TEST"] as const) : []),
  ];
}

function isValidated(evaluated: Position["evaluated"], after: number): boolean {
  return evaluated.some(({ kind, step }) => kind === "VALIDATION" && step === after);
}

function evaluationSeconds(kinds: readonly EvaluationKind[], { evaluation }: Pace): number | null {
  let sum = 0;
  for (const kind of kinds) {
    const seconds = evaluation[kind];
    if (seconds === undefined) return null;
    sum += seconds;
  }
  return sum;
}

/** Multiples of the interval after one step and before another. */
function multiples(after: number, before: number, interval: number): number {
  if (interval === 0 || after >= before) return 0;
  return Math.floor((before - 1) / interval) - Math.floor(after / interval);
}

function recent(timed: readonly { readonly seconds: number | null }[]): number | null {
  return mean(timed.flatMap(({ seconds }) => seconds ?? []).slice(-lastFew));
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
