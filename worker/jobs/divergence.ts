/** What a run that has diverged, or overfitted, says of what was seen. What to try then: schema/rate-advice.ts. */
import type { Fall, Level } from "../../engine/train/divergence.ts";
import { highestLoss } from "../../engine/train/divergence.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";

export function divergedMessage(fall: Fall): string {
  return `The run diverged: ${inWords(fall)}.`;
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
    const shown = isLoss ? lossInWords(value, measure === "training loss") : `${(100 * value).toFixed(1)} %`;
    return `${shown} (${firstStep === lastStep ? `step ${lastStep}` : `steps ${firstStep} to ${lastStep}`})`;
  };
  const what = isLoss ? measure : `${measure} of the validation rows`;
  const isStart = start.lastStep === best.lastStep;
  const from = `${level(best)} at ${isStart ? "the start" : "its best"}`;
  const moved = `the ${what} ${isLoss ? "rose" : "fell"} from ${from} to ${level(now)}`;
  return isStart ? moved : `${moved}; it started at ${level(start)}`;
}

/** Losses of more than a thousand without an exponent. Higher losses of steps count as the highest. */
function lossInWords(loss: number, isOfSteps: boolean): string {
  if (!Number.isFinite(loss)) return "not finite";
  if (isOfSteps && loss > 0.999 * highestLoss) return `${highestLoss} or more`;
  return loss < 1_000 ? String(Number(loss.toPrecision(3))) : loss.toFixed(0);
}
