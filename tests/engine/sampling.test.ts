/** Tokens are drawn with their probabilities, only from the requested set, and reproducibly for a seed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { likeliest } from "../../engine/generation/top-tokens.ts";
import type { Sampling } from "../../engine/generation/sampling.ts";
import { sampler } from "../../engine/generation/sampling.ts";

const probabilities = [0.1, 0.4, 0.05, 0.3, 0.15];
const logits = Float32Array.from(probabilities, Math.log);

/** Shares of the tokens in many draws. */
function shares(sampling: Omit<Sampling, "seed">, of: Float32Array = logits, draws = 20_000): number[] {
  const choose = sampler({ ...sampling, seed: 1 });
  const counts = Array.from(of, () => 0);
  for (let k = 0; k < draws; k++) {
    const token = choose(of);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return counts.map((count) => count / draws);
}

/** The tokens that are ever drawn. */
const drawn = (sampling: Omit<Sampling, "seed">, of?: Float32Array) =>
  shares(sampling, of, 2000).flatMap((share, token) => (share > 0 ? [token] : []));

/** Six deviations of 20,000 draws: 1 run in 10^9 fails, and the seed is fixed. */
function expectShares(found: readonly number[], expected: readonly number[]): void {
  const total = expected.reduce((a, b) => a + b);
  for (const [token, share] of found.entries()) {
    const p = (expected[token] ?? 0) / total;
    expect(Math.abs(share - p)).toBeLessThanOrEqual(6 * Math.sqrt((p * (1 - p)) / 20_000));
  }
}

describe("a draw", () => {
  test("picks tokens with the probabilities of the model", () => {
    expectShares(shares({ temperature: 1 }), probabilities);
  });

  test.each([0.5, 2])("at temperature %d sharpens or flattens", (temperature) => {
    const powers = probabilities.map((p) => p ** (1 / temperature));
    expectShares(shares({ temperature }), powers);
  });

  test("at temperature 0, or nearly 0, picks the likeliest", () => {
    expect(drawn({ temperature: 0 })).toEqual([1]);
    expect(drawn({ temperature: 1e-300 })).toEqual([1]);
  });

  test("among the k likeliest keeps their proportions", () => {
    expectShares(shares({ temperature: 1, topK: 2 }), [0, 0.4, 0, 0.3, 0]);
    expect(drawn({ temperature: 1, topK: 1 })).toEqual([1]);
    expectShares(shares({ temperature: 1, topK: 99 }), probabilities);
  });

  test("among equal tokens beyond k picks the first", () => {
    expect(drawn({ temperature: 1, topK: 2 }, Float32Array.of(0, 1, 0, 0))).toEqual([0, 1]);
  });

  test("within the nucleus picks from the fewest tokens that have the probability together", () => {
    expect(drawn({ temperature: 1, topP: 0.39 })).toEqual([1]);
    expect(drawn({ temperature: 1, topP: 0.41 })).toEqual([1, 3]);
    expect(drawn({ temperature: 1, topP: 0.69 })).toEqual([1, 3]);
    expectShares(shares({ temperature: 1, topP: 0.71 }), [0, 0.4, 0, 0.3, 0.15]);
    expect(drawn({ temperature: 1, topP: 0.96 })).toEqual([0, 1, 2, 3, 4]);
  });

  test("with a tiny nucleus picks the likeliest, and with topP 1 excludes nothing", () => {
    expect(drawn({ temperature: 1, topP: Number.MIN_VALUE })).toEqual([1]);
    expectShares(shares({ temperature: 1, topP: 1 }), probabilities);
    expectShares(shares({ temperature: 1, topP: 1 - 2 ** -53 }), probabilities);
  });

  test("applies temperature, then k, then the nucleus of the rest", () => {
    // Of the two likeliest, 4/7 and 3/7, the first alone has half.
    expect(drawn({ temperature: 1, topK: 2, topP: 0.5 })).toEqual([1]);
    // Flattened, it has less.
    expect(drawn({ temperature: 4, topK: 3, topP: 0.5 })).toEqual([1, 3]);
  });

  test("never picks a token of probability 0", () => {
    expect(drawn({ temperature: 1 }, Float32Array.of(-Infinity, 0, -Infinity, 0, -Infinity))).toEqual([1, 3]);
    expect(drawn({ temperature: 1, topK: 4 }, Float32Array.of(-Infinity, 0, -Infinity, 0, -Infinity))).toEqual([1, 3]);
  });

  test.each([[[NaN, 1, 0]], [[0, Infinity, 0]], [[-Infinity, -Infinity]]])(
    "of %j is as the greedy choice",
    (values) => {
      const strange = Float32Array.from(values);
      expect(sampler({ temperature: 1, topK: 2, topP: 0.9, seed: 1 })(strange)).toBe(likeliest(strange));
      expect(sampler({ temperature: 1, seed: 1 })(strange)).toBe(likeliest(strange));
    },
  );

  test("with a large vocabulary has the same nucleus as sorting all of it", () => {
    const logit = fc.float({ min: -12, max: 12, noNaN: true });
    const share = fc.double({ min: 0.01, max: 0.999, noNaN: true });
    fc.assert(
      fc.property(
        fc.float32Array({ minLength: 1, maxLength: 300, min: -12, max: 12, noNaN: true }),
        logit,
        share,
        (some, more, topP) => {
          const all = Float32Array.of(...some, more);
          // Logits that differ by less than a double tells from the highest weigh the same, as they do in a draw.
          const highest = Math.max(...all);
          const weights = Array.from(all, (value, token) => ({ token, weight: Math.exp(value - highest) }));
          const sorted = weights.toSorted((a, b) => b.weight - a.weight);
          const total = weights.reduce((sum, { weight }) => sum + weight, 0);
          let reached = 0;
          // Slightly more than requested, since sums in another order round differently.
          const allowed = new Set<number>();
          for (const { token, weight } of sorted) {
            if (reached >= topP * total * (1 + 1e-9)) break;
            reached += weight;
            allowed.add(token);
          }
          for (let seed = 0; seed < 20; seed++) expect(allowed).toContain(sampler({ temperature: 1, topP, seed })(all));
        },
      ),
      { examples: [[Float32Array.of(-5.551115784870273e-17, 0.0001239117991644889, 0), 0, 0.250023234182061]] },
    );
  });
});

describe("a seed", () => {
  const text = (seed: number) => {
    const choose = sampler({ temperature: 1, seed });
    return Array.from({ length: 40 }, () => choose(logits));
  };

  test("draws the same tokens each time, and another seed others", () => {
    expect(text(5)).toEqual(text(5));
    expect(text(5)).not.toEqual(text(6));
    expect(text(2 ** 53 - 1)).not.toEqual(text(2 ** 21 - 1));
  });

  test("means the same tokens in every release", () => {
    expect(text(5).join("")).toMatchInlineSnapshot(`"1113111310111411441131032143420403333320"`);
  });
});
