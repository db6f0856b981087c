import { expect, test } from "vitest";
import { killsOf } from "./kills.ts";

test("five kills have each kind, in the order of the seed", () => {
  for (const seed of [1, 2, 3]) {
    expect(killsOf(5, seed).toSorted()).toEqual(["freeze", "gateway", "network", "postgres", "worker"]);
  }
  expect(killsOf(5, 1)).not.toEqual(killsOf(5, 2));
});
