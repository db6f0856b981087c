/**
 * The conformance suite: every device of this machine against the plain one, on the same seeded random inputs. Weights
 * must agree in every bit after a log; losses and logits to a few roundings.
 *
 * STEPLOG_TEST_DEVICES (comma list, such as "tfjs-wasm,tfjs-tensorflow") promises devices: one that is absent fails.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listDevices } from "../../engine/devices/choose.ts";
import type { ActivationFunction, AttentionShape, Device, WeightDtype } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Noise } from "../../engine/noise.ts";
import { toBfloat16 } from "../../engine/scalar.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import type { Operation, Shape } from "./devices.inputs.ts";
import { Draw, computationOf, load, perturbations, run } from "./devices.inputs.ts";

const listed = await listDevices();
const present = listed.flatMap((device) => ("open" in device ? [device] : []));
const missing = listed.flatMap((device) => ("missing" in device ? [device] : []));
const promised = (process.env["STEPLOG_TEST_DEVICES"] ?? "").split(",").filter((name) => name !== "");

/** fast-check prints the seed of a failure; STEPLOG_TEST_SEED repeats it. */
const parameters = { numRuns: 12, seed: Number(process.env["STEPLOG_TEST_SEED"] ?? Date.now() & 0x7fffffff) };

test.each(promised)("the promised device %s is on this machine", (name) => {
  expect(present.map((device) => device.name)).toContain(name);
});

for (const device of missing) {
  test(`device ${device.name} is not on this machine: ${device.missing}`, ({ skip }) => skip(device.missing));
}

const lengths = fc.oneof(fc.constant([1]), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }));
const dtype = fc.constantFrom<WeightDtype>("F32", "BF16");
const noise = fc.constantFrom<Noise>("normal", "rademacher");

function shapes(columns: fc.Arbitrary<number>): fc.Arbitrary<Shape> {
  const vocab = fc.integer({ min: 1, max: 40 });
  return fc.record({ seed: fc.nat(), lengths, columns, vocab, dtype, trainable: fc.boolean() });
}

function attention(of: Pick<AttentionShape, "heads" | "keyValueHeads" | "causal">): Operation {
  const keyColumns = ({ columns }: Shape) => (columns / of.heads) * of.keyValueHeads;
  return {
    weights: (shape) => ({
      q: [shape.columns, shape.columns],
      k: [keyColumns(shape), shape.columns],
      v: [keyColumns(shape), shape.columns],
    }),
    apply({ pass, x, weights, shape }) {
      const [q, k, v] = ["q", "k", "v"].map((name) => pass.linear(x, weights(name), null));
      if (!q || !k || !v) throw new Error("three projections");
      return pass.attention(q, k, v, { ...of, lengths: shape.lengths, scale: (shape.columns / of.heads) ** -0.5 });
    },
  };
}

function activation(kind: ActivationFunction): Operation {
  return { apply: ({ pass, x }) => pass.activate(pass.add(pass.add(x, x), x), kind) };
}

const vectors = ({ columns }: Shape) => ({ scale: [columns], shift: [columns] });
const wide = ({ columns }: Shape) => 2 * columns + 1;

const norm: Operation = {
  weights: vectors,
  apply: ({ pass, x, weights }) => pass.layerNorm(x, weights("scale"), weights("shift"), 1e-2),
};

const linear: Operation = {
  weights: (shape) => ({ matrix: [wide(shape), shape.columns], bias: [wide(shape)] }),
  columns: wide,
  apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), weights("bias")),
};

const operations: Readonly<Record<string, Operation>> = {
  embed: { apply: ({ x }) => x },
  "embed, its table tied to the head": { tied: true, apply: ({ x }) => x },
  add: {
    apply: ({ pass, x, weights, shape, draw }) =>
      pass.add(x, pass.embed(weights("table"), draw.indices(x.rows, shape.vocab))),
  },
  "layer norm": norm,
  "layer norm without weight and bias": { apply: ({ pass, x }) => pass.layerNorm(x, null, null, 1e-2) },
  "layer norm without bias": {
    weights: vectors,
    apply: ({ pass, x, weights }) => pass.layerNorm(x, weights("scale"), null, 1e-2),
  },
  linear,
  "linear to one column, without bias": {
    weights: (shape) => ({ matrix: [1, shape.columns] }),
    columns: () => 1,
    apply: ({ pass, x, weights }) => pass.linear(x, weights("matrix"), null),
  },
  gather: { apply: ({ pass, x, draw }) => pass.gather(x, draw.indices(x.rows, x.rows)) },
  relu: activation("relu"),
  gelu: activation("gelu"),
  gelu_tanh: activation("gelu_tanh"),
  silu: activation("silu"),
};

const attentions: Readonly<Record<string, Operation>> = {
  "causal attention": attention({ heads: 2, keyValueHeads: 2, causal: true }),
  "attention over all tokens": attention({ heads: 4, keyValueHeads: 4, causal: false }),
  "grouped-query attention": attention({ heads: 4, keyValueHeads: 2, causal: true }),
  "multi-query attention": attention({ heads: 4, keyValueHeads: 1, causal: false }),
};

describe.each(present)("device $name agrees with the plain one", ({ open }) => {
  let tested: Device;
  const plain = createPlainDevice();
  beforeAll(async () => void (tested = await open()));
  afterAll(() => tested.dispose());

  async function agrees(operation: Operation, shape: Shape): Promise<void> {
    const computation = computationOf(operation, shape);
    const [here, there] = [load(tested, computation), load(plain, computation)];
    for (const perturbation of perturbations(shape.seed)) {
      const seen = await run(tested, computation, here, perturbation);
      const expected = await run(plain, computation, there, perturbation);
      expectClose(seen.losses, expected.losses);
      expectClose(seen.logits, expected.logits);
    }
    for (const weight of here.values()) tested.freeWeight(weight);
  }

  test.each(Object.entries(operations))("on %s", async (_name, operation) => {
    const property = fc.asyncProperty(shapes(fc.integer({ min: 1, max: 37 })), (shape) => agrees(operation, shape));
    await fc.assert(property, parameters);
  });

  test.each(Object.entries(attentions))("on %s", async (_name, operation) => {
    const columns = fc.constantFrom(4, 8, 12, 64);
    await fc.assert(
      fc.asyncProperty(shapes(columns), (shape) => agrees(operation, shape)),
      parameters,
    );
  });

  test("on a head too large for one piece", async () => {
    const shape = { seed: 5, lengths: [1], columns: 2_100, vocab: 4_099, dtype: "BF16", trainable: true } as const;
    await agrees({ tied: true, apply: ({ x }) => x }, shape);
  });

  test("on every bit of the weights after a log, and on the losses with them", async () => {
    const count = fc.integer({ min: 1, max: 6 });
    const logs = fc.record({ noise, count, decay: fc.boolean(), passFirst: fc.boolean() });
    const property = fc.asyncProperty(shapes(fc.integer({ min: 1, max: 300 })), logs, async (shape, log) => {
      const computation = computationOf(norm, { ...shape, trainable: true });
      const [here, there] = [load(tested, computation), load(plain, computation)];
      const entries = randomEntries(shape.seed, log.count, log.decay);
      const perturbation = { seed: entries[0]?.seed ?? 0n, size: 0.03125, noise: log.noise };
      if (log.passFirst) await run(tested, computation, here, perturbation);

      tested.update([...here.values()], entries, log.noise);
      plain.update([...there.values()], entries, log.noise);

      const seen = await run(tested, computation, here, perturbation);
      const expected = await run(plain, computation, there, perturbation);
      expectClose(seen.losses, expected.losses);
      for (const [name, weight] of here) {
        expect(await tested.readWeight(weight)).toEqual(await plain.readWeight(got(there, name)));
        tested.freeWeight(weight);
      }
    });
    await fc.assert(property, { ...parameters, numRuns: 30 });
  });

  test("on a weight of several update blocks", async () => {
    for (const type of ["F32", "BF16"] as const) {
      const spec = { name: "w", shape: [101, 127], dtype: type, trainable: true };
      const bytes = new Draw(3).bytes(101 * 127, type, 0.1);
      const [a, b] = [tested.createWeight(spec, bytes), plain.createWeight(spec, bytes)];
      for (const kind of ["normal", "rademacher"] as const) {
        tested.update([a], randomEntries(9, 5, true), kind);
        plain.update([b], randomEntries(9, 5, true), kind);
      }
      expect(await tested.readWeight(a)).toEqual(await plain.readWeight(b));
      expect(await tested.readWeight(a)).not.toEqual(bytes);
    }
  });

  test.each(["F32", "BF16"] as const)(
    "on elements too small for hardware that takes them for zero (%s)",
    async (type) => {
      const words = [1, 0x007fffff, 0x80400001, 0x80000000, 0, 0x00800000, 0x0d800001, 0x1f800000, 0x3f800000];
      for (const { scalar, decay } of [
        { scalar: 0 },
        { scalar: 2 ** -100 },
        { scalar: 0, decay: 0.75 },
        { scalar: 0, decay: 0.25 },
      ]) {
        for (const kept of [words, words.slice(6), words.slice(7)]) {
          const bits = Uint32Array.from({ length: 45 }, (_, i) => kept[i % kept.length] ?? 0);
          const bytes = new Uint8Array((type === "F32" ? bits : Uint16Array.from(bits, (word) => word >>> 16)).buffer);
          const spec = { name: "w", shape: [45], dtype: type, trainable: true };
          const [a, b] = [tested.createWeight(spec, bytes), plain.createWeight(spec, bytes)];
          const entries = Array.from({ length: 70 }, (_, step) => ({
            seed: BigInt(step),
            scalar,
            ...(decay && { decay }),
          }));
          tested.update([a], entries, "normal");
          plain.update([b], entries, "normal");
          expect(await tested.readWeight(a)).toEqual(await plain.readWeight(b));
          tested.freeWeight(a);
        }
      }
    },
  );

  test("that a frozen weight is not to be updated, and that a pass changes nothing", async () => {
    const shape = { seed: 8, lengths: [4], columns: 6, vocab: 9, dtype: "F32", trainable: false } as const;
    const computation = computationOf(linear, shape);
    const weights = load(tested, computation);
    for (const perturbation of perturbations(1)) await run(tested, computation, weights, perturbation);
    for (const { name, bytes } of computation.weights) {
      const weight = got(weights, name);
      expect(() => tested.update([weight], randomEntries(1, 1, false), "normal")).toThrow("trainable");
      expect(await tested.readWeight(weight)).toEqual(bytes);
    }
  });
});

/** Scalars as training logs them: bfloat16, now and then 0; seeds of any 64 bits. */
function randomEntries(seed: number, count: number, decay: boolean): LogEntry[] {
  const draw = new Draw(seed ^ 0x5eed);
  return Array.from({ length: count }, () => ({
    seed: (BigInt(draw.below(2 ** 32)) << 32n) | BigInt(draw.below(2 ** 32)),
    scalar: draw.below(8) === 0 ? 0 : toBfloat16((draw.unit() - 0.5) * 10 ** -draw.below(6)),
    ...(decay && { decay: Math.fround(1 - draw.unit() * 1e-3) }),
  }));
}

function expectClose(seen: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(seen.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const value = expected[i] ?? NaN;
    expect(Math.abs((seen[i] ?? NaN) - value), `${seen[i]} for ${value} at ${i}`).toBeLessThan(
      1e-5 + 1e-4 * Math.abs(value),
    );
  }
}

function got<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new Error(`no ${key}`);
  return value;
}
