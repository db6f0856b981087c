/**
 * Several sequences in one pass: on a device that keeps rows apart, each has the bits that it has alone, whichever others are
 * beside it and however it is cut into passes. On every device, a copy of a cache continues as the original would.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device, Products, WeightDtype } from "../../engine/devices/device.ts";
import { expectClose, expectSameBytes } from "../support/equal.ts";
import { devicesHere, threadsOf } from "../support/open-devices.ts";
import { Draw, propertySeed } from "./devices.inputs.ts";
import { LowRankTerms } from "./low-rank.terms.ts";
import { Decoder, adapterCount, vocab } from "./rows-apart.decoder.ts";

const present = (await devicesHere()).flatMap((device) => ("open" in device ? [device] : []));
const kinds: readonly Products[] = ["rows", "panels"];
const dtypes: readonly WeightDtype[] = ["F32", "BF16"];
const most = 17;
/** Tokens before those that are decoded; one sequence has more than a task of attention. */
const lengths = Array.from({ length: most }, (_, sequence) => (sequence === 5 ? 70 : 1 + ((sequence * 7) % 12)));

describe.each(present)("device $name", ({ name, open }) => {
  let device: Device;
  beforeAll(async () => void (device = await open(threadsOf(name))));
  afterAll(() => device.dispose());

  /** Every bit where the device promises it, else a few roundings. */
  function expectSame(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
    if (device.rowsApart) expectSameBits(seen, expected);
    else expectClose(seen, expected);
  }

  const cases = dtypes.flatMap((dtype) => kinds.map((products) => ({ dtype, products })));

  test.each(cases)("decodes 1 to 17 sequences of $dtype by $products as each alone", async ({ dtype, products }) => {
    for (const precision of device.precisions) {
      const decoder = new Decoder(device, dtype, { precision, products });
      const prompts = lengths.map((length, sequence) => decoder.tokens(sequence, length));
      const [caches, next] = [prompts.map(() => decoder.createCaches()), decoder.tokens(99, most)];
      for (const [sequence, ids] of prompts.entries()) await decoder.logits([{ ids, caches: at(caches, sequence) }]);
      const step = (sequences: readonly number[]) => {
        return decoder.once(sequences.map((s) => ({ ids: next.subarray(s, s + 1), caches: at(caches, s) })));
      };
      const alone: Float32Array[] = [];
      for (let sequence = 0; sequence < most; sequence++) alone.push(await step([sequence]));
      for (let count = 2; count <= most; count++) {
        const beside = Array.from({ length: count }, (_, i) => (i * 5 + count) % most);
        const together = await step(beside);
        beside.forEach((sequence, i) => expectSame(decoder.row(together, i), at(alone, sequence)));
      }
      decoder.free();
    }
  });

  test.each(cases)("cuts sequences of $dtype anywhere by $products", async ({ dtype, products }) => {
    const property = fc.asyncProperty(fc.nat(), fc.constantFrom(...device.precisions), async (seed, precision) => {
      const decoder = new Decoder(device, dtype, { precision, products });
      const draw = new Draw(seed);
      const sequences = [1 + draw.below(90), 1 + draw.below(9)].map((length, i) => decoder.tokens(seed + i, length));
      const whole: Float32Array[] = [];
      for (const ids of sequences) whole.push(await decoder.once([{ ids, caches: decoder.createCaches() }]));
      const cut = await decoder.byParts(sequences, () => 1 + draw.below(30));
      cut.forEach((logits, i) => expectSame(logits, at(whole, i)));
      decoder.free();
    });
    await fc.assert(property, { numRuns: 3, seed: propertySeed });
  });

  test.each(cases)("serves 4 adapters in a batch of $dtype by $products as each alone", async ({ dtype, products }) => {
    for (const precision of device.precisions) {
      const decoder = new Decoder(device, dtype, { precision, products });
      const parts = Array.from({ length: 7 }, (_, i) => {
        const ids = decoder.tokens(i, 1 + (i % 3));
        // A row without an adapter is multiplied by other operations when it is alone, which panels round otherwise.
        const bare = i === 2 && products === "rows";
        return { ids, caches: null, ...(!bare && { adapter: (i * 3) % adapterCount }) };
      });
      const together = await decoder.logits(parts);
      let row = 0;
      for (const part of parts) {
        const alone = await decoder.logits([part]);
        expectSame(together.subarray(row * vocab, row * vocab + alone.length), alone);
        if (part.adapter !== undefined) {
          const { ids, caches } = part;
          expect(alone).not.toEqual(await decoder.logits([{ ids, caches }]));
        }
        row += part.ids.length;
      }
      decoder.free();
    }
  });

  test("adds low-rank terms to runs of rows as other operations do", async () => {
    const property = fc.asyncProperty(fc.nat(), fc.constantFrom(...dtypes), async (seed, dtype) => {
      const terms = new LowRankTerms(device, dtype, seed);
      expectClose(await terms.added(), await terms.composed());
      terms.free();
    });
    await fc.assert(property, { numRuns: 8, seed: propertySeed });
  });

  test("refuses terms of rows or columns that are not there, or out of order", () => {
    const terms = new LowRankTerms(device, "F32", 1);
    for (const wrong of [
      { first: -1, rows: 2 },
      { first: 0, rows: 0 },
      { first: 0, rows: 1_000 },
    ]) {
      expect(() => terms.record([wrong])).toThrow("Invariant broken");
    }
    const [late, early] = [
      { first: 1, rows: 1 },
      { first: 0, rows: 1 },
    ];
    expect(() => terms.record([late, early])).toThrow("Invariant broken");
    expect(() => terms.record([late, late])).toThrow("Invariant broken");
    expect(() => terms.record([{ ...early, swapped: true }])).toThrow("Invariant broken");
    terms.free();
  });

  test("measures the losses of rows as of each alone", async () => {
    for (const precision of device.precisions) {
      for (const products of kinds) {
        const decoder = new Decoder(device, "BF16", { precision, products });
        const rows = Array.from({ length: 9 }, (_, i) => decoder.tokens(i, 1 + ((i * 7) % 20)));
        const together = await decoder.losses(rows);
        let first = 0;
        for (const ids of rows) {
          expectSame(together.subarray(first, first + ids.length), await decoder.losses([ids]));
          first += ids.length;
        }
        decoder.free();
      }
    }
  });

  test("leaves the kernels to the number of rows where none are asked for", async ({ skip }) => {
    if (!device.rowsApart) skip(`${device.description} has no kernels to choose from`);
    for (const precision of device.precisions) {
      const logits = (count: number, products?: Products) => {
        const decoder = new Decoder(device, "BF16", { precision, products });
        return decoder.once([{ ids: decoder.tokens(1, count), caches: null }]).finally(() => decoder.free());
      };
      // Left out, a few rows are multiplied in float32, in an order of their own, and attention of several queries is that of panels.
      if (precision === "float32") {
        for (const few of [1, 2, 3]) expectClose(await logits(few), await logits(few, "rows"));
      }
      for (const many of [4, 20]) expectSameBits(await logits(many), await logits(many, "panels"));
    }
  });

  test("continues from a copy of a cache as from the original", async () => {
    const decoder = new Decoder(device, "F32", { precision: "float32", products: "rows" });
    const ids = decoder.tokens(7, 80);
    const [caches, fresh] = [decoder.createCaches(), decoder.createCaches()];
    await decoder.logits([{ ids: ids.subarray(0, 70), caches }]);
    await decoder.logits([{ ids: ids.subarray(0, 33), caches: fresh }]);
    const [copies, again] = [decoder.copy(caches, 33), decoder.copy(caches, 70)];
    const empty = decoder.copy(caches, 0);
    // What one of them takes in, the others do not see.
    const other = decoder.tokens(8, 40);
    const longer = await decoder.logits([{ ids: other, caches: copies }]);
    expectSame(longer, await decoder.logits([{ ids: other, caches: fresh }]));
    const rest = ids.subarray(70);
    expectSame(await decoder.logits([{ ids: rest, caches: again }]), await decoder.logits([{ ids: rest, caches }]));
    const start = await decoder.logits([{ ids: other, caches: empty }]);
    expectSame(start, await decoder.logits([{ ids: other, caches: decoder.createCaches() }]));
    decoder.free();
  });

  test("copies no more rows than there are, and of no cache that was freed", async () => {
    const decoder = new Decoder(device, "F32", { precision: "float32", products: "rows" });
    const [cache] = decoder.createCaches();
    if (!cache) throw new Error("a layer has a cache");
    await decoder.logits([{ ids: decoder.tokens(1, 3), caches: [cache] }]);
    for (const rows of [4, -1, 0.5]) expect(() => device.copyCache(cache, rows)).toThrow("Invariant broken");
    expect(() => device.copyCache(device.createCache(), 1)).toThrow("Invariant broken");
    const gone = device.createCache();
    device.freeCache(gone);
    expect(() => device.copyCache(gone, 0)).toThrow("Invariant broken");
    decoder.free();
  });

  test("chooses kernels for unperturbed passes alone", () => {
    const perturbation = { seed: 1n, size: 0.001, noise: "normal" } as const;
    expect(() => device.begin(perturbation, "float32", { products: "panels" })).toThrow("Invariant broken");
  });
});

function expectSameBits(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
  const bytes = (values: ArrayLike<number>) => new Uint8Array(Float64Array.from(values).buffer);
  expectSameBytes(bytes(seen), bytes(expected));
}

function at<T>(all: readonly T[], index: number): T {
  const found = all[index];
  if (found === undefined) throw new Error(`no element ${index}`);
  return found;
}
