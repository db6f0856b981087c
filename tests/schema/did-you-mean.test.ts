/** Hints at what was mistyped: near names only, so that a hint is worth reading. */
import { expect, test } from "vitest";
import { didYouMean } from "../../schema/did-you-mean.ts";

const known = ["learningRate", "steps", "seed", "demo", "facebook/opt-125m", "a"];

test.each([
  ["learning-rate", "learningRate"],
  ["LEARNINGRATE", "learningRate"],
  ["stpes", "steps"],
  ["dmo", "demo"],
  ["facebook/opt-125", "facebook/opt-125m"],
  ["sed", "seed"],
])("%s means %s", (given, meant) => {
  expect(didYouMean(given, known)).toBe(` Did you mean "${meant}"?`);
});

test.each(["warmup", "x", "", "facebook/llama-7b", "zzzz"])("%j means none of them", (given) => {
  expect(didYouMean(given, known)).toBe("");
});
