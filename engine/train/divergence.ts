/**
 * Whether a run has diverged: become clearly worse than it started, or than it was at its best. Numbers in, a verdict out; the
 * same numbers give the same verdict, so a run that resumes decides as it would have without the break.
 *
 * A single step says nothing, so means over windows of steps are compared. They are means of log(loss + 0.1): a jump to a
 * thousand and one to ten are both jumps, one loss among many weighs little, and errors of almost 0 are alike. A run has
 * diverged when the last window is above the best one
 *
 * - by more than noise: many standard errors, by the larger spread of the two;
 * - by much: half of what it had gained since the first window, and a share of the loss.
 *
 * Two more looks. Right after the start, before there is a window to compare with, the last 16 steps are compared with the
 * first rows. And the validation rows have diverged when their score lost half of its gain, or their loss did, while the
 * training loss rose. If it did not rise, the run has overfitted: its best checkpoint stands, and a smaller rate would not help.
 *
 * A run that ends before there is a window to compare is judged at its end, by what there is.
 */
import type { StepEvaluation } from "../../schema/best-evaluation.ts";
import { BestSoFar, scoreOf } from "../../schema/best-evaluation.ts";
import type { BestMetric } from "../../schema/hyperparameters.ts";

/** A value, and the steps that it was measured over: one step for an evaluation. */
export interface Level {
  readonly value: number;
  readonly firstStep: number;
  readonly lastStep: number;
}

/** What got worse, and how far. Training losses are geometric means. */
export interface Fall {
  readonly measure: "training loss" | "validation loss" | "accuracy" | "F1" | "exact match";
  readonly start: Level;
  readonly best: Level;
  readonly now: Level;
}

export interface Divergence extends Fall {
  /** The best evaluation of the validation rows before it; null if there was none. */
  readonly evaluation: { readonly entries: number; readonly step: number } | null;
}

export type Evaluated = StepEvaluation & { readonly rows: number };

/** Steps of a window; the least factor between its loss and the best one; and how often the windows are compared. */
const scales = [
  { steps: 64, leastFactor: 1.5, every: 8 },
  { steps: 512, leastFactor: 1.25, every: 64 },
] as const;
/** In standard errors. A run of a million steps compares two windows 100,000 times. */
const windowWidth = 7;

/** The look right after the start. Few losses have an uncertain spread, so it asks for more. */
const early = { steps: 16, rows: 16, lastStep: 64, leastFactor: 3, width: 8, every: 4 } as const;

/** Losses at the end of a run that is too short for that look. */
const fewestAtEnd = 3;

/** For the validation rows; of many evaluations one is the best by chance. */
const scoreWidth = 4;
const leastFall = 0.05;
const validationFactor = 1.25;
/** How clearly the training loss must have risen beside them. */
const besideWidth = 2;
const fewestBeside = 16;

/** Added to a loss before its logarithm: below this, losses differ in nothing that matters. */
const floor = 0.1;
/** What a loss of a step that is higher, or not finite, counts as. */
export const highestLoss = 1e4;

export class DivergenceWatch {
  readonly #settings: WatchedSettings;
  /** Of each step: log(loss + floor). */
  readonly #logs: number[] = [];
  readonly #best: BestSoFar;
  /** The lowest window of each scale. */
  readonly #lowest: (Window | undefined)[] = [];
  readonly #evaluations: Evaluated[] = [];
  #divergence: Divergence | null = null;

  constructor(settings: WatchedSettings) {
    this.#settings = settings;
    this.#best = new BestSoFar(settings.bestMetric);
  }

  /** The first that was seen; null if none was. */
  get divergence(): Divergence | null {
    return this.#divergence;
  }

  /** Adds the loss of the next step. */
  addLoss(loss: number): void {
    const counted = Number.isFinite(loss) ? Math.min(Math.max(loss, 0), highestLoss) : highestLoss;
    this.#logs.push(Math.log(counted + floor));
    if (this.#divergence) return;
    const fall = this.#sinceStart() ?? this.#sinceLowest();
    if (fall) this.#divergence = { ...fall, evaluation: this.#bestBefore(fall.now.firstStep) };
  }

  /** Adds an evaluation of the validation rows, made after the steps so far. */
  addEvaluation(evaluation: Evaluated): void {
    this.#evaluations.push(evaluation);
    if (this.#best.add(evaluation) || this.#divergence) return;
    const fall = this.#fall();
    if (fall && this.#rose()) this.#divergence = { ...fall, evaluation: this.#best.best };
  }

  /** The run is over: judges by what there is where windows are not full, so that a short run that got worse says so. */
  end(): void {
    if (this.#divergence) return;
    const worse = this.#rose() === null && this.#roseInTheEnd() ? this.#fall() : null;
    if (worse) this.#divergence = { ...worse, evaluation: this.#best.best };
    const fall = worse ? null : this.#sinceFirst();
    if (fall) this.#divergence = { ...fall, evaluation: this.#bestBefore(fall.now.firstStep) };
  }

  /** How far the last evaluation is below the best, if it is clearly so and the training loss did not rise; or null. */
  get overfit(): Fall | null {
    return this.#divergence === null && !(this.#rose() ?? this.#roseInTheEnd()) ? this.#fall() : null;
  }

  /** Guesses may be luckier than before while the loss explodes, so only evaluations whose loss had not risen count. */
  #bestBefore(step: number): Evaluated | null {
    const earlier = this.#evaluations.filter((one) => one.step < step);
    const [first] = earlier;
    const best = new BestSoFar(this.#settings.bestMetric);
    let lowest = Infinity;
    for (const one of earlier) {
      lowest = Math.min(lowest, one.loss);
      if (first && !hasRisen([first.loss, lowest, one.loss])) best.add(one);
    }
    return earlier.find(({ entries }) => entries === best.best?.entries) ?? null;
  }

  #sinceStart(): Fall | null {
    const { steps, lastStep, leastFactor, width, every } = early;
    const done = this.#logs.length;
    const first = this.#firstSteps;
    if (done > lastStep || done % every !== 0 || done < first + steps) return null;
    const [start, now] = [this.#window(0, first), this.#window(done - steps, done)];
    const rise = now.mean - start.mean;
    if (rise < Math.log(leastFactor) || rise < width * noiseOf(start, now)) return null;
    return { measure: "training loss", start: levelOf(start), best: levelOf(start), now: levelOf(now) };
  }

  /** Of a run that ended before #sinceStart could look: each loss of its last half is far above all of its first rows. */
  #sinceFirst(): Fall | null {
    const done = this.#logs.length;
    const first = this.#firstSteps;
    const half = Math.max(first, Math.floor(done / 2));
    if (done >= first + early.steps || done - half < fewestAtEnd) return null;
    const highestAtStart = Math.max(...this.#logs.slice(0, first));
    if (Math.min(...this.#logs.slice(half)) - highestAtStart < Math.log(early.leastFactor)) return null;
    const [start, now] = [levelOf(this.#window(0, first)), levelOf(this.#window(half, done))];
    return { measure: "training loss", start, best: start, now };
  }

  /** Whether the mean loss after the best evaluation is above that before it; of the second half if the start was best. */
  #roseInTheEnd(): boolean {
    const done = this.#logs.length;
    const bestStep = Math.min(this.#best.best?.step ?? 0, done);
    const middle = bestStep === 0 ? Math.floor(done / 2) : bestStep;
    if (middle === 0 || middle === done) return false;
    const before = this.#window(Math.max(0, middle - scales[0].steps), middle);
    return this.#window(middle, done).mean > before.mean;
  }

  /** Steps that measure enough rows to be a start. */
  get #firstSteps(): number {
    return Math.ceil(early.rows / (this.#settings.batchSize * this.#settings.accumulate));
  }

  #sinceLowest(): Fall | null {
    const done = this.#logs.length;
    for (const [index, { steps, every, leastFactor }] of scales.entries()) {
      if (done < steps || done % every !== 0) continue;
      const [start, now] = [this.#window(0, steps), this.#window(done - steps, done)];
      const lowest = this.#lowest[index] ?? start;
      if (now.mean <= lowest.mean) this.#lowest[index] = now;
      const rise = now.mean - lowest.mean;
      const much = Math.max((start.mean - lowest.mean) / 2, Math.log(leastFactor));
      if (rise < much || rise < windowWidth * noiseOf(lowest, now)) continue;
      return { measure: "training loss", start: levelOf(start), best: levelOf(lowest), now: levelOf(now) };
    }
    return null;
  }

  /** The last evaluation against the best, if it is clearly worse. */
  #fall(): Fall | null {
    const [start, best, now] = [this.#evaluations[0], this.#best.best, this.#evaluations.at(-1)];
    if (!start || !best || !now || now.entries === best.entries) return null;
    const { bestMetric } = this.#settings;
    const scores = [start, best, now].map((one) => scoreOf(one, bestMetric));
    const [atStart, atBest, atNow] = scores;
    const levels = (values: readonly [number, number, number]) => ({
      start: levelAt(start, values[0]),
      best: levelAt(best, values[1]),
      now: levelAt(now, values[2]),
    });
    if (!atStart || !atBest || !atNow || atBest.name !== atNow.name || atStart.name !== atNow.name) {
      const losses = [start.loss, best.loss, now.loss] as const;
      return hasRisen(losses) ? { measure: "validation loss", ...levels(losses) } : null;
    }
    const values = [atStart.value, atBest.value, atNow.value] as const;
    return hasFallen(values, now.rows) ? { measure: atNow.name, ...levels(values) } : null;
  }

  /** Whether the training loss is higher than it was at the best evaluation; null if there are too few steps to tell. */
  #rose(): boolean | null {
    const done = this.#logs.length;
    const bestStep = Math.min(this.#best.best?.step ?? 0, done);
    const end = Math.max(bestStep, fewestBeside);
    const start = Math.max(end, done - scales[0].steps);
    if (done - start < fewestBeside) return null;
    const [then, now] = [this.#window(Math.max(0, end - scales[0].steps), end), this.#window(start, done)];
    return now.mean - then.mean > besideWidth * noiseOf(then, now);
  }

  /** Of steps `from + 1` to `to`. */
  #window(from: number, to: number): Window {
    let [sum, squares] = [0, 0];
    // Shifted by the first one, so that equal losses have no spread.
    const shift = this.#logs[from] ?? 0;
    for (let at = from; at < to; at++) {
      const value = (this.#logs[at] ?? 0) - shift;
      sum += value;
      squares += value * value;
    }
    const count = to - from;
    const mean = sum / count;
    return { from, to, mean: shift + mean, spread: Math.sqrt(Math.max(0, squares / count - mean * mean)) };
  }
}

export interface WatchedSettings {
  readonly batchSize: number;
  readonly accumulate: number;
  readonly bestMetric: BestMetric;
}

/** Logarithms of losses: mean and standard deviation. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly mean: number;
  readonly spread: number;
}

/** Standard error of the difference of two means. */
function noiseOf(a: Window, b: Window): number {
  return Math.max(a.spread, b.spread) * Math.sqrt(1 / (a.to - a.from) + 1 / (b.to - b.from));
}

function levelOf({ from, to, mean }: Window): Level {
  return { value: Math.max(0, Math.exp(mean) - floor), firstStep: from + 1, lastStep: to };
}

function levelAt({ step }: StepEvaluation, value: number): Level {
  return { value, firstStep: step, lastStep: step };
}

/** Of a score from 0 to 1: clear of the noise, and half of the gain lost or, where there was none, half more errors. */
function hasFallen([start, best, now]: readonly [number, number, number], rows: number): boolean {
  const fall = best - now;
  if (fall < leastFall || fall < scoreWidth * scoreNoise(best, now, rows)) return false;
  const gain = best - start;
  return fall >= (gain > scoreWidth * scoreNoise(start, best, rows) ? gain : 1 - best) / 2;
}

/** Standard error of the difference of two shares of the rows, each with one right and one wrong row more than were seen. */
function scoreNoise(a: number, b: number, rows: number): number {
  const variance = (share: number) => {
    const smooth = (share * rows + 1) / (rows + 2);
    return (smooth * (1 - smooth)) / rows;
  };
  return Math.sqrt(variance(a) + variance(b));
}

function hasRisen(losses: readonly [number, number, number]): boolean {
  const log = (loss: number) => Math.log((Number.isFinite(loss) ? loss : highestLoss) + floor);
  const [start, best, now] = [log(losses[0]), log(losses[1]), log(losses[2])];
  return now - best >= Math.max((start - best) / 2, Math.log(validationFactor));
}
