/**
 * Comparisons of long arrays. toEqual() and an expect() per element take microseconds for each element: minutes for the
 * megabytes of weights that devices are compared on.
 */
import { expect } from "vitest";

export function expectSameBytes(seen: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  if (!seen || !expected) throw new Error("there are no bytes to compare");
  const same = Buffer.compare(seen, expected) === 0;
  const at = same ? -1 : seen.findIndex((byte, i) => byte !== expected[i]);
  expect(same, `byte ${at} of ${seen.length} is ${seen[at]}, expected ${expected[at]} of ${expected.length}`).toBe(
    true,
  );
}

/** To a few roundings of float32. */
export function expectClose(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(seen.length).toBe(expected.length);
  let same = 0;
  while (same < expected.length && isClose(seen[same] ?? NaN, expected[same] ?? NaN)) same++;
  expect(same, `element ${same} is ${seen[same]}, expected ${expected[same]}`).toBe(expected.length);
}

function isClose(seen: number, expected: number): boolean {
  return Math.abs(seen - expected) < 1e-5 + 1e-4 * Math.abs(expected);
}
