import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fillNoise } from "../../engine/numbers/noise.ts";
import { perturbationSize, toBfloat16 } from "../../engine/numbers/scalar.ts";
import { update } from "../../engine/replay/update.ts";
import type { LogEntry } from "../../schema/step-log.ts";

const entryArb: fc.Arbitrary<LogEntry> = fc
  .record({
    seed: fc.bigInt(0n, 2n ** 64n - 1n),
    value: fc.double({ min: -1e-2, max: 1e-2, noNaN: true }),
    decay: fc.boolean(),
  })
  .map(({ seed, value, decay }) => ({ seed, scalar: toBfloat16(value), ...(decay && { decay: Math.fround(0.999) }) }));
const noiseArb = fc.constantFrom("normal", "rademacher");

describe("the update", () => {
  test("of a tensor is the update of its pieces, in any order", () => {
    fc.assert(
      fc.property(
        noiseArb,
        fc.boolean(),
        fc.array(entryArb, { maxLength: 4 }),
        fc.nat(9_000),
        (noise, half, entries, cut) => {
          const whole = half ? Uint16Array.from({ length: 9_000 }, (_, i) => 0x3f00 + (i % 97)) : randomFloats(9_000);
          const pieces = whole.slice();
          update(whole, 0, 42, noise, entries);
          update(pieces.subarray(cut), cut, 42, noise, entries);
          update(pieces.subarray(0, cut), 0, 42, noise, entries);
          expect(Buffer.from(pieces.buffer).equals(Buffer.from(whole.buffer))).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("of entries one after the other is the update of all of them", () => {
    fc.assert(
      fc.property(noiseArb, fc.array(entryArb, { maxLength: 6 }), (noise, entries) => {
        const together = randomFloats(300);
        const apart = together.slice();
        update(together, 8, 1, noise, entries);
        for (const entry of entries) update(apart, 8, 1, noise, [entry]);
        expect(together).toStrictEqual(apart);
      }),
    );
  });

  test("rounds bfloat16 up and down so that small steps are kept on average", () => {
    // A hundredth of a bfloat16 ulp at 1: nearest rounding would lose every step.
    const ulp = 2 ** -7;
    const scalar = toBfloat16(-ulp / 100);
    const weights = new Uint16Array(50_000).fill(0x3f80);
    const moves = new Float64Array(weights.length);
    for (let step = 0; step < 40; step++) {
      const n = new Int8Array(weights.length);
      fillNoise(n, "rademacher", BigInt(step), 3, 0);
      n.forEach((value, i) => (moves[i] = (moves[i] ?? 0) - scalar * value));
      update(weights, 0, 3, "rademacher", [{ seed: BigInt(step), scalar }]);
    }
    const values = new Float32Array(Uint32Array.from(weights, (half) => half << 16).buffer);
    const expected = moves.reduce((sum, move) => sum + Math.max(move, 0), 0);
    const seen = values.reduce((sum, value, i) => sum + ((moves[i] ?? 0) > 0 ? value - 1 : 0), 0);
    expect(seen / expected).toBeGreaterThan(0.9);
    expect(seen / expected).toBeLessThan(1.1);
  });
});

describe("a scalar", () => {
  test("is the nearest bfloat16, ties to even", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (value) => {
        const rounded = toBfloat16(value);
        const halfUlp = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 8);
        const allowed = Math.abs(value) < 2 ** -100 ? Math.abs(value) : halfUlp;
        expect(Math.abs(rounded - value)).toBeLessThanOrEqual(allowed);
      }),
    );
    expect(toBfloat16(1 + 2 ** -8)).toBe(1);
    expect(toBfloat16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  });

  test("is rounded once: a double just above a tie goes up", () => {
    expect(toBfloat16(1 + 2 ** -8 + 2 ** -40)).toBe(1 + 2 ** -7);
    expect(toBfloat16(1 + 3 * 2 ** -8 - 2 ** -40)).toBe(1 + 2 ** -7);
  });

  test("is positive zero when tiny, and keeps NaN and infinity for the caller to see", () => {
    expect(Object.is(toBfloat16(-(2 ** -101)), 0)).toBe(true);
    expect(toBfloat16(NaN)).toBeNaN();
    expect(toBfloat16(-Infinity)).toBe(-Infinity);
  });
});

test("the perturbation size times any noise integer is exact in float32", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-6, max: 1, noNaN: true }),
      noiseArb,
      fc.integer({ min: -8, max: 8 }),
      (epsilon, noise, n) => {
        const size = perturbationSize(epsilon, noise);
        expect(Math.fround(size * n)).toBe(size * n);
        expect(Math.abs(size * (noise === "normal" ? 2 : 1) - epsilon) / epsilon).toBeLessThan(2 ** -18);
      },
    ),
  );
});

function randomFloats(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) * 0.1);
}
