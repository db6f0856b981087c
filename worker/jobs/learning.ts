/**
 * Whether a run that has ended learned anything, by what it measured; if not, what to try. A run that learns nothing is what
 * users of MeZO meet most often, and it succeeds all the same.
 *
 * The loss moved if its mean over the last steps is below that over the first ones by more than the noise of the two means,
 * and by more than a tenth. A tenth because the demo's base, at a hundredth of the right rate, falls by 8 % in 1,000 steps
 * and still guesses. The score of the validation rows (F1 or accuracy) moved if it rose by more than its noise.
 */
import { mean } from "../../engine/numbers/mean.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";

/** What a run measured. */
export interface Measured {
  /** Losses of the first steps, and of as many last ones; null where not finite. */
  readonly firstLosses: readonly (number | null)[];
  readonly lastLosses: readonly (number | null)[];
  readonly steps: number;
  /** Steps in which no loss differed, so that nothing changed. */
  readonly zeroSteps: number;
  /** Evaluations of the validation rows, in order. */
  readonly validations: readonly Validation[];
}

interface Validation {
  readonly rows: number;
  readonly accuracy: number | null;
  readonly f1: number | null;
}

/** Steps at each end of a run whose mean loss is compared. */
const mostSteps = 100;
/** Fewer losses than this say nothing. */
const fewestLosses = 10;
const leastFall = 0.1;
/** A loss of at most this, or a score this close to 1, leaves little to learn. */
const goodEnough = 0.1;
/** A score that closes this part of its gap to 1 moved, whatever the loss did. */
const leastGap = 0.25;
/** Where this part of the steps saw no difference, nothing else is worth changing. */
const manyZeroSteps = 0.5;
/** In standard errors: noise alone exceeds it once in twenty times. */
const noiseWidth = 2;

/** How many steps at each end of a run to compare. */
export function stepsCompared(steps: number): number {
  return Math.min(mostSteps, Math.floor(steps / 4));
}

/** What hardly moved and what to try, for people; null if the run learned, was good before, or was too short to tell. */
export function hardlyMoved(measured: Measured, settings: Hyperparameters): string | null {
  const first = measured.firstLosses.filter((loss) => loss !== null);
  const last = measured.lastLosses.filter((loss) => loss !== null);
  const score = scoreOf(measured.validations);
  if (Math.min(first.length, last.length) < fewestLosses || mean(first) <= goodEnough) return null;
  if (score && score.after >= 1 - goodEnough) return null;
  const [from, to] = [mean(first).toPrecision(3), mean(last).toPrecision(3)];
  const advice = adviceFor(measured, settings);
  const losses = `a mean of ${from} over the first ${first.length} steps, ${to} over the last ${last.length}`;
  if (!hasFallen(first, last)) {
    const risen = score && score.rise > Math.max(score.noise, leastGap * (1 - score.before));
    return risen ? null : `The training loss hardly moved: ${losses}. ${advice}`;
  }
  if (!score || score.rise > score.noise) return null;
  const scores = `${percent(score.before)} before, ${percent(score.after)} after`;
  return `The training loss fell, but the ${score.name} of the validation rows hardly moved: ${scores}. ${advice}`;
}

function hasFallen(first: readonly number[], last: readonly number[]): boolean {
  const fall = mean(first) - mean(last);
  return fall > noiseWidth * Math.hypot(standardError(first), standardError(last)) && fall > leastFall * mean(first);
}

function standardError(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)) / values.length);
}

/** F1 if there is one, else accuracy, at both ends of the run; null without two evaluations that have it. */
function scoreOf(validations: readonly Validation[]) {
  const [first, last] = [validations[0], validations.at(-1)];
  if (!first || !last || first === last) return null;
  const f1 = first.f1 !== null && last.f1 !== null;
  const [before, after] = f1 ? [first.f1, last.f1] : [first.accuracy, last.accuracy];
  if (before === null || after === null) return null;
  const noise = noiseWidth * Math.sqrt((before * (1 - before)) / first.rows + (after * (1 - after)) / last.rows);
  return { name: f1 ? "F1" : "accuracy", before, after, rise: after - before, noise };
}

/** What to try, the likeliest to help first. */
function adviceFor({ steps, zeroSteps }: Measured, settings: Hyperparameters): string {
  const { learningRate, estimator, objective } = settings;
  if (zeroSteps >= manyZeroSteps * steps) {
    const smooth = objective === "LOSS" || objective === "CLASSIFICATION" ? [] : ["objective CLASSIFICATION or LOSS"];
    const tries = [...smooth, "a larger epsilon", "a larger batch"].join(", ");
    return `No loss differed in ${zeroSteps} of ${steps} steps, so they changed nothing. Try ${tries}; docs/LEARNING_RATE.md explains.`;
  }
  const rate = learningRate === "AUTO" ? "3 times the rate that AUTO chose" : "learningRate AUTO";
  const others = [
    ...(objective === "LOSS" ? ["objective CLASSIFICATION where answers are choices"] : []),
    ...(estimator === "FZOO" ? ["more estimates"] : ["estimator FZOO"]),
  ];
  return `Try ${rate}, more steps, ${others.join(", ")}; docs/LEARNING_RATE.md explains.`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
