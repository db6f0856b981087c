/** What a run says whose learning rate was too high is what its page does. */
import { expect, test } from "vitest";
import { isTooFast, rateAdvice, slowerRate, stepToFork } from "../../schema/rate-advice.ts";

test("a run that diverged is told to take a third of its rate, one whose loss is not finite a tenth", () => {
  expect(slowerRate("DIVERGED", 1e-3)).toEqual({ rate: 0.00033, words: "a third" });
  expect(slowerRate("LOSS_NOT_FINITE", 1e-3)).toEqual({ rate: 0.0001, words: "a tenth" });
  expect(["DIVERGED", "OUT_OF_MEMORY"].map(isTooFast)).toEqual([true, false]);
});

test.each([
  [1_200, "Fork its checkpoint at step 1200 with learning rate 0.00033, a third of 0.001,"],
  [0, "Start it again with learning rate 0.00033, a third of 0.001,"],
])("where from can be read back: step %i", (from, words) => {
  const message = `The run diverged: its loss rose. ${rateAdvice(1e-3, from)}`;
  expect(message).toContain(words);
  expect(stepToFork(message)).toBe(from);
});

test("a message that says nothing of it names no step", () => {
  expect(stepToFork("5 steps in a row were skipped, the last at step 7.")).toBeNull();
});
