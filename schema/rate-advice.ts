/**
 * What to try after a run whose learning rate was too high: a smaller one, from where the run was still good. The worker says
 * it, and the page's button does it.
 */

/** Rates are searched in steps of 3 (docs/decisions/0035-divergence.md); a loss that is not finite is further off. */
const slower = {
  DIVERGED: { divisor: 3, words: "a third" },
  LOSS_NOT_FINITE: { divisor: 10, words: "a tenth" },
} as const;

export type TooFast = keyof typeof slower;

/** Errors that a smaller rate may mend. */
export const isTooFast = (code: string): code is TooFast => Object.hasOwn(slower, code);

export interface SlowerRate {
  /** To two digits. */
  readonly rate: number;
  /** What it is of the other: "a third". */
  readonly words: string;
}

export function slowerRate(code: TooFast, rate: number): SlowerRate {
  const { divisor, words } = slower[code];
  return { rate: Number((rate / divisor).toPrecision(2)), words };
}

const fork = "Fork its checkpoint at step";
const anew = "Start it again with";

/**
 * What a run that diverged says.
 * @param rate the learning rate that was applied, before warm-up and schedule
 * @param from the step of the checkpoint to go back to; 0 is where the run started
 */
export function rateAdvice(rate: number, from: number): string {
  const next = slowerRate("DIVERGED", rate);
  const advice = from === 0 ? anew : `${fork} ${from} with`;
  return `${advice} learning rate ${next.rate}, ${next.words} of ${rate}, or train fewer steps; docs/LEARNING_RATE.md explains.`;
}

/** The step that such a message says to fork, 0 for the start; null where it says nothing of it. */
export function stepToFork(message: string): number | null {
  if (message.includes(anew)) return 0;
  const [, step] = new RegExp(`${fork} (\\d+) `, "u").exec(message) ?? [];
  return step === undefined ? null : Number(step);
}
