/**
 * Comparisons of long arrays. toEqual() and an expect() per element take microseconds for each element, minutes for the
 * megabytes of weights that devices are compared on.
 */
import { expect } from "vitest";

export function expectSameBytes(seen: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  if (!seen || !expected) throw new Error("there are bytes to compare");
  const same = Buffer.compare(seen, expected) === 0;
  const at = same ? -1 : seen.findIndex((byte, i) => byte !== expected[i]);
  const difference = `byte ${at} is ${seen[at]} for ${expected[at]}, of ${seen.length} for ${expected.length} bytes`;
  expect(same, difference).toBe(true);
}

/** To a few roundings of float32. */
export function expectClose(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(seen.length).toBe(expected.length);
  let far = 0;
  while (far < expected.length && isClose(seen[far] ?? NaN, expected[far] ?? NaN)) far++;
  expect(far, `${seen[far]} for ${expected[far]} at ${far}`).toBe(expected.length);
}

function isClose(seen: number, expected: number): boolean {
  return Math.abs(seen - expected) < 1e-5 + 1e-4 * Math.abs(expected);
}
