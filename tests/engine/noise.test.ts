import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Philox, fillNoise, fillRounding, sigma, tensorId } from "../../engine/numbers/noise.ts";
import { update } from "../../engine/replay/update.ts";

interface Vectors {
  philox: { counter: string[]; key: string[]; words: string[] }[];
  cases: {
    tensor: string;
    tensorId: number;
    seed: string;
    start: number;
    normal: number[];
    rademacher: number[];
    rounding: number[];
    scalar: string;
    f32: string[];
    f32Updated: string[];
    f32UpdatedRademacher: string[];
    bf16: string[];
    bf16Updated: string[];
  }[];
}

const vectors = JSON.parse(readFileSync(new URL("../golden/noise-vectors.json", import.meta.url), "utf8")) as Vectors;

const words = (hex: readonly string[]) => Uint32Array.from(hex, (word) => Number.parseInt(word, 16));
const floats = (hex: readonly string[]) => new Float32Array(words(hex).buffer);
const hexOf = (values: Float32Array) =>
  Array.from(new Uint32Array(values.buffer), (word) => word.toString(16).padStart(8, "0"));

describe("the known answers", () => {
  test("of Philox4x32-10", () => {
    for (const { counter, key, words: expected } of vectors.philox) {
      const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = words(counter);
      const [k0 = 0, k1 = 0] = words(key);
      const out = new Uint32Array(4);
      new Philox((BigInt(k1) << 32n) | BigInt(k0), c2, c3).blocks(c1 * 2 ** 32 + c0, 1, out);
      expect([...out]).toStrictEqual([...words(expected)]);
    }
  });

  test.each(vectors.cases)("of noise and update: $tensor, seed $seed, from element $start", (known) => {
    const seed = BigInt(known.seed);
    const id = tensorId(known.tensor);
    const length = known.normal.length;
    expect(id).toBe(known.tensorId);
    for (const noise of ["normal", "rademacher"] as const) {
      const n = new Int8Array(length);
      fillNoise(n, noise, seed, id, known.start);
      expect([...n]).toStrictEqual(known[noise]);
    }
    const rounding = new Uint16Array(length);
    fillRounding(rounding, seed, id, known.start);
    expect([...rounding]).toStrictEqual(known.rounding);

    const entries = [{ seed, scalar: floats([known.scalar])[0] ?? 0 }];
    for (const [noise, expected] of [
      ["normal", known.f32Updated],
      ["rademacher", known.f32UpdatedRademacher],
    ] as const) {
      const weights = floats(known.f32);
      update(weights, known.start, id, noise, entries);
      expect(hexOf(weights)).toStrictEqual(expected);
    }
    const halves = Uint16Array.from(words(known.bf16), (word) => word >>> 16);
    update(halves, known.start, id, "normal", entries);
    expect(hexOf(new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer))).toStrictEqual(
      known.bf16Updated,
    );
  });
});

describe("noise", () => {
  const noiseArb = fc.constantFrom("normal", "rademacher");

  test("of a piece is the piece of the noise, wherever it begins", () => {
    fc.assert(
      fc.property(noiseArb, fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(5000), fc.nat(700), (noise, seed, start, length) => {
        const whole = new Int8Array(start + length);
        const piece = new Int8Array(length);
        fillNoise(whole, noise, seed, 99, 0);
        fillNoise(piece, noise, seed, 99, start);
        expect(Buffer.from(piece).equals(Buffer.from(whole.subarray(start)))).toBe(true);
      }),
    );
  });

  test.each(["normal", "rademacher"] as const)("%s has mean 0, variance 1 and independent neighbours", (noise) => {
    const n = new Int8Array(400_000);
    fillNoise(n, noise, 1234n, 5, 0);
    const z = Array.from(n, (value) => value / sigma[noise]);
    const mean = z.reduce((a, b) => a + b, 0) / z.length;
    const variance = z.reduce((a, b) => a + b * b, 0) / z.length;
    const neighbours = z.reduce((sum, value, i) => sum + value * (z[i + 1] ?? 0), 0) / z.length;
    // Five standard errors of a mean of 400,000.
    const bound = 5 / Math.sqrt(n.length);
    expect(Math.abs(mean)).toBeLessThan(bound);
    expect(Math.abs(variance - 1)).toBeLessThan(2 * bound);
    expect(Math.abs(neighbours)).toBeLessThan(bound);
  });

  test("differs between seeds and between tensors", () => {
    const draw = (seed: bigint, tensor: number) => {
      const n = new Int8Array(64);
      fillNoise(n, "normal", seed, tensor, 0);
      return n.join();
    };
    expect(new Set([draw(0n, 0), draw(1n, 0), draw(1n << 32n, 0), draw(0n, 1)]).size).toBe(4);
  });
});
