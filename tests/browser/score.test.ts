/** Which of several runs is best, by what they judge their evaluations by. */
import { expect, test } from "vitest";
import { bestAmong, judged } from "../../dashboard/src/parts/measure.ts";

test("the best score is the highest, the best loss the lowest; different measures are not compared", () => {
  const low = { loss: 0.3, accuracy: 0.6, f1: null, exactMatch: null };
  const high = { loss: 0.9, accuracy: 0.8, f1: null, exactMatch: null };
  const by = (metric: "ACCURACY" | "LOSS") => (one: typeof low) => judged(metric, one);
  expect([...bestAmong([low, high], by("ACCURACY"))]).toEqual([high]);
  expect([...bestAmong([low, high], by("LOSS"))]).toEqual([low]);
  expect([...bestAmong([low, high], (one) => by(one === low ? "LOSS" : "ACCURACY")(one))]).toEqual([]);
  expect([...bestAmong([low, high], (one) => (one === low ? by("LOSS")(one) : null))]).toEqual([]);
});
