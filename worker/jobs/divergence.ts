/** What a run that has diverged, or overfitted, says: what was seen, and what to do. */
import type { Fall, Level } from "../../engine/train/divergence.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";

/** By how much a rate at which a run diverged is reduced. */
const rateDivisor = 3;

/** The learning rate to try next, to two digits. */
export function smallerRate(rate: number): number {
  return Number((rate / rateDivisor).toPrecision(2));
}

export function divergedMessage(fall: Fall): string {
  return `The run diverged: ${inWords(fall)}.`;
}

/**
 * @param rate the learning rate that was applied, before warm-up and schedule
 * @param from the step of the checkpoint to go back to; 0 is where the run started
 */
export function rateAdvice(rate: number, from: number): string {
  const next = `learning rate ${smallerRate(rate)}, a third of ${rate}`;
  const advice = from === 0 ? `Start it again with ${next}` : `Fork its checkpoint at step ${from} with ${next}`;
  return `${advice}, or train fewer steps; docs/LEARNING_RATE.md explains.`;
}

export function overfittedMessage(fall: Fall, { patience }: Pick<Hyperparameters, "patience">): string {
  const others = patience === 0 ? ", patience (with evaluateEvery)" : "";
  return (
    `The run overfitted: ${inWords(fall)}, while the training loss did not rise. ` +
    `The best checkpoint stands. Try fewer steps${others} or more rows.`
  );
}

/** "the training loss rose from 0.31 (steps 65 to 128) at its best to 12 (steps 301 to 364); it started at 2.5 (steps 1 to 64)" */
function inWords({ measure, start, best, now }: Fall): string {
  const isLoss = measure.endsWith("loss");
  const level = ({ value, firstStep, lastStep }: Level) => {
    const shown = isLoss ? lossInWords(value) : `${(100 * value).toFixed(1)} %`;
    return `${shown} (${firstStep === lastStep ? `step ${lastStep}` : `steps ${firstStep} to ${lastStep}`})`;
  };
  const what = isLoss ? measure : `${measure} of the validation rows`;
  const isStart = start.lastStep === best.lastStep;
  const from = `${level(best)} at ${isStart ? "the start" : "its best"}`;
  const moved = `the ${what} ${isLoss ? "rose" : "fell"} from ${from} to ${level(now)}`;
  return isStart ? moved : `${moved}; it started at ${level(start)}`;
}

/** Losses of more than a thousand without an exponent. */
function lossInWords(loss: number): string {
  if (!Number.isFinite(loss)) return "not finite";
  return loss < 1_000 ? String(Number(loss.toPrecision(3))) : loss.toFixed(0);
}
