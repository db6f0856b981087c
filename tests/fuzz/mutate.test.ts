/** What the fuzz promises of its inputs. */
import { expect, test } from "vitest";
import { Random, mutateJson } from "./mutate.ts";

const seed = JSON.stringify({ name: "x", rows: [{ a: [1, 2], b: { c: "text" } }, null], long: "ab".repeat(1_000) });

test("the same seed gives the same input, whatever was made before, and none is large", () => {
  const inputs = () => Array.from({ length: 400 }, (_, i) => Buffer.from(mutateJson(seed, new Random(i))));
  const made = inputs();
  expect(inputs().every((input, i) => made[i]?.equals(input))).toBe(true);
  expect(Math.max(...made.map(({ length }) => length))).toBeLessThan(2_000_000);
});
