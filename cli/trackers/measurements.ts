/** What trackers are told of a run. */
import type { FineTune, FineTuneUpdate } from "../../client/index.ts";
import type { Point } from "./tracker.ts";

type Step = Extract<FineTuneUpdate, { type: "step" }>["step"];

/** Of a step. A loss that is not finite is left out. */
export function stepped({ step, loss, projectedGradient, learningRate, seconds }: Step): Point {
  const values = { loss, projected_gradient: projectedGradient, learning_rate: learningRate, seconds };
  return { step, values: known("train", values) };
}

/** Of the evaluations that the run has so far. */
export function measured({ evaluations, tests }: Pick<FineTune, "evaluations" | "tests">): Point[] {
  const point = (kind: string) => (one: FineTune["evaluations"][number]) => ({
    step: one.step,
    values: known(kind, { loss: one.loss, accuracy: one.accuracy, f1: one.f1, exact_match: one.exactMatch }),
  });
  return [...evaluations.map(point("validation")), ...tests.map(point("test"))];
}

function known(kind: string, values: Readonly<Record<string, number | null>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[`${kind}/${name}`, value]])),
  );
}
