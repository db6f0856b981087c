/**
 * The conformance suite: every device of this machine against the plain one, on the same seeded random inputs. Weights
 * must agree in every bit after a log; losses and logits to a few roundings.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Activation, Device, KeyValueCache, Pass, WeightDtype } from "../../engine/devices/device.ts";
import { elementCount } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Noise } from "../../engine/numbers/noise.ts";
import { replayOnto } from "../../engine/replay/onto-weights.ts";
import { toBfloat16 } from "../../engine/numbers/scalar.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { expectClose, expectSameBytes } from "../support/equal.ts";
import { devicesDir, devicesHere, promised, threadsOf } from "../support/open-devices.ts";
import { remember } from "../support/remember.ts";
import type { Operation, Shape } from "./devices.inputs.ts";
import { Draw, computationOf, load, lookup, perturbations, propertySeed, run } from "./devices.inputs.ts";
import { headOperations, linear, norm, operations } from "./devices.operations.ts";

const listed = await devicesHere();
const present = listed.flatMap((device) => {
  const label: string = device.name;
  return "open" in device ? [{ ...device, label }] : [];
});
if (present.some(({ name }) => name === "tfjs-tensorflow")) {
  // The device itself, but every weight here has many pieces, every activation many blocks, every product of attention a few rows.
  const sizes = { cellElements: 64, scoreElements: 24, heldBytes: 512, transposedRows: 4, swapsFactors: true };
  const open = async () =>
    (await import("../../engine/devices/tensorflow/tensorflow.ts")).createTensorflowDevice(devicesDir, null, {
      pieceElements: 256,
      sizes,
      replayHere: true,
    });
  present.push({ name: "tfjs-tensorflow", label: "tfjs-tensorflow in small pieces", open });
}
if (present.some(({ name }) => name === "tfjs-wasm")) {
  const sizes = { cellElements: 64, heldBytes: 512 };
  const open = async () => (await import("../../engine/devices/wasm/wasm.ts")).createWasmDevice(sizes);
  present.push({ name: "tfjs-wasm", label: "tfjs-wasm in small pieces", open });
}
const missing = listed.flatMap((device) => ("missing" in device ? [device] : []));

const parameters = { numRuns: 12, seed: propertySeed };

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

const tooLarge = "a head too large for one piece";
const allOperations: Readonly<Record<string, Operation>> = {
  ...operations,
  ...headOperations,
  [tooLarge]: { tied: true, headBias: true, headSoftcap: 3, apply: ({ x }) => x },
};

interface Case {
  readonly operation: string;
  readonly shape: Shape;
}

/** Losses and logits of a case, one for each perturbation. */
async function resultsOn(device: Device, { operation, shape }: Case) {
  const computation = computationOf(got(new Map(Object.entries(allOperations)), operation), shape);
  const weights = load(device, computation);
  const results = [];
  for (const perturbation of perturbations(shape.seed)) {
    results.push(await run(device, computation, weights, perturbation));
  }
  for (const weight of weights.values()) device.freeWeight(weight);
  return results;
}

interface Log {
  readonly shape: Shape;
  readonly log: { readonly noise: Noise; readonly count: number; readonly decay: boolean; readonly passFirst: boolean };
}

/** The weights after a log, and the losses with them. */
async function trainedOn(device: Device, { shape, log }: Log) {
  const computation = computationOf(norm, { ...shape, trainable: true });
  const weights = load(device, computation);
  const entries = randomEntries(shape.seed, log.count, log.decay);
  const perturbation = { seed: entries[0]?.seed ?? 0n, size: 0.03125, noise: log.noise };
  if (log.passFirst) await run(device, computation, weights, perturbation);
  device.update([...weights.values()], entries, log.noise);
  const { losses } = await run(device, computation, weights, perturbation);
  const bytes = await Promise.all([...weights.values()].map((weight) => device.readWeight(weight)));
  for (const weight of weights.values()) device.freeWeight(weight);
  return { losses, bytes };
}

const plain = createPlainDevice();
const expectedResults = remember((input: Case) => resultsOn(plain, input));
const expectedTraining = remember((input: Log) => trainedOn(plain, input));
const expectedAttention = remember(async (seed: number) => {
  const expected = await attendAtOnce(plain, seed);
  expectClose(await attendByParts(plain, seed), expected);
  return expected;
});

describe.each(present)("device $label agrees with the plain one", ({ name: deviceName, open }) => {
  let tested: Device;
  beforeAll(async () => void (tested = await open(threadsOf(deviceName))));
  afterAll(() => tested.dispose());

  async function agrees(operation: string, shape: Shape): Promise<void> {
    const seen = await resultsOn(tested, { operation, shape });
    for (const [i, expected] of (await expectedResults({ operation, shape })).entries()) {
      expectClose(seen[i]?.losses ?? [], expected.losses);
      expectClose(seen[i]?.logits ?? [], expected.logits);
    }
  }

  test.each(Object.keys(operations))("on %s", async (operation) => {
    const property = fc.asyncProperty(shapes(fc.integer({ min: 1, max: 37 })), (shape) => agrees(operation, shape));
    await fc.assert(property, parameters);
  });

  test.each(Object.keys(headOperations))("on %s", async (operation) => {
    const columns = fc.constantFrom(4, 8, 12, 64);
    await fc.assert(
      fc.asyncProperty(shapes(columns), (shape) => agrees(operation, shape)),
      parameters,
    );
  });

  test("on a head too large for one piece", async () => {
    // A piece is 2^20 elements on wasm. The native device cuts the inputs at 1,024, and gives more than one panel of outputs (32
    // at most) to each of 64 groups.
    const head = { columns: 1_100, vocab: 2_053, dtype: "BF16", trainable: true } as const;
    await agrees(tooLarge, { seed: 5, lengths: [1], ...head });
  });

  test("on attention over what its caches hold, which is what one pass over all tokens gives", async () => {
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const expected = await expectedAttention(seed);
      expectClose(await attendAtOnce(tested, seed), expected);
      expectClose(await attendByParts(tested, seed), expected);
    });
    await fc.assert(property, parameters);
  });

  test("on every bit of the weights after a log, and on the losses with them", async () => {
    const count = fc.integer({ min: 1, max: 6 });
    const logs = fc.record({ noise, count, decay: fc.boolean(), passFirst: fc.boolean() });
    const property = fc.asyncProperty(shapes(fc.integer({ min: 1, max: 300 })), logs, async (shape, log) => {
      const [seen, expected] = [await trainedOn(tested, { shape, log }), await expectedTraining({ shape, log })];
      expectClose(seen.losses, expected.losses);
      expected.bytes.forEach((bytes, i) => expectSameBytes(seen.bytes[i], bytes));
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
      const updated = await tested.readWeight(a);
      expectSameBytes(updated, await plain.readWeight(b));
      expect(Buffer.compare(updated, bytes)).not.toBe(0);
    }
  });

  test.each(["F32", "BF16"] as const)(
    "on a tensor updated piece by piece, wherever a piece begins (%s)",
    async (type) => {
      const [count, size] = [9_001, type === "F32" ? 4 : 2];
      const whole = new Draw(11).bytes(count, type, 0.1);
      const entries = randomEntries(12, 4, true);
      const weight = plain.createWeight({ name: "w", shape: [count], dtype: type, trainable: true }, whole);
      plain.update([weight], entries, "normal");
      // One byte in, so that no element lies where its type would have it.
      const bytes = new Uint8Array(new ArrayBuffer(whole.length + 1), 1);
      bytes.set(whole);
      for (const [first, end] of [
        [0, 1],
        [1, 5_000],
        [5_000, count],
      ] as const) {
        const piece = { name: "w", dtype: type, first, bytes: bytes.subarray(first * size, end * size) };
        await tested.replay(piece, entries, "normal");
      }
      expectSameBytes(bytes, await plain.readWeight(weight));
    },
  );

  test.each(["F32", "BF16"] as const)("on weights onto which a log is replayed (%s)", async (type) => {
    const entries = randomEntries(13, 40, true);
    for (const [name, shape, scale] of [
      ["w", [9, 128], 0.1],
      ["tiny", [33], 2 ** -90],
    ] as const) {
      const spec = { name, shape, dtype: type, trainable: true };
      const bytes = new Draw(14).bytes(elementCount(shape), type, scale);
      const [a, b] = [tested.createWeight(spec, bytes), plain.createWeight(spec, bytes)];
      await replayOnto(tested, [a], entries.slice(0, 4), "rademacher");
      await replayOnto(tested, [a], entries.slice(4), "rademacher");
      plain.update([b], entries, "rademacher");
      expectSameBytes(await tested.readWeight(a), await plain.readWeight(b));
      tested.freeWeight(a);
      plain.freeWeight(b);
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
          expectSameBytes(await tested.readWeight(a), await plain.readWeight(b));
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
      expectSameBytes(await tested.readWeight(weight), bytes);
    }
  });

  test("that a precision it does not list is refused, and that float32 is listed", () => {
    expect(tested.precisions).toContain("float32");
    for (const precision of (["float32", "bfloat16"] as const).filter((each) => !tested.precisions.includes(each))) {
      expect(() => tested.begin(null, precision)).toThrow("Invariant broken");
    }
  });

  test("to a few parts in a hundred where it multiplies in bfloat16", async ({ skip }) => {
    if (!tested.precisions.includes("bfloat16")) skip(`${tested.description} multiplies in float32 only`);
    const shape = { seed: 21, lengths: [5], columns: 33, vocab: 17, dtype: "F32", trainable: true } as const;
    const computation = computationOf(linear, shape);
    const [here, there] = [load(tested, computation), load(plain, computation)];
    for (const perturbation of perturbations(2)) {
      const seen = await run(tested, computation, here, perturbation, "bfloat16");
      const expected = await run(plain, computation, there, perturbation);
      seen.losses.forEach((loss, i) => expect(Math.abs(loss - (expected.losses[i] ?? NaN))).toBeLessThan(0.2));
    }
  });

  test.each(Object.entries(misfits))("that %s breaks an invariant", (_name, misfit) => {
    const spec = (name: string, rows: number) => ({ name, shape: [rows, 4], dtype: "F32", trainable: false }) as const;
    const [table, other] = [3, 2].map((rows) => {
      return tested.createWeight(spec(`table of ${rows}`, rows), new Draw(rows).bytes(4 * rows, "F32", 1));
    });
    if (!table || !other) throw new Error("two tables");
    const pass = tested.begin(null);
    try {
      const x = pass.embed(table, Int32Array.of(0, 1, 2));
      expect(() => misfit(pass, x, pass.embed(other, Int32Array.of(0, 1)), tested)).toThrow("Invariant broken");
    } finally {
      pass.end();
    }
  });
});

const whole = { heads: 1, keyValueHeads: 1, lengths: [3], causal: true, scale: 1 };

/** Operands that do not fit: x is [3, 4], y [2, 4]. */
const misfits: Readonly<Record<string, (pass: Pass, x: Activation, y: Activation, device: Device) => unknown>> = {
  "a sum of two shapes": (pass, x, y) => pass.add(x, y),
  "a product of two shapes": (pass, x, y) => pass.multiply(x, y),
  "a slice beyond the columns": (pass, x) => pass.slice(x, 2, 3),
  "a row that is not there": (pass, x) => pass.gather(x, Int32Array.of(3)),
  "a rotation of broken heads": (pass, x) => pass.rotate(x, rotary({ headSize: 3 })),
  "a rotation without a position": (pass, x) => pass.rotate(x, rotary({ positions: Int32Array.of(1) })),
  "a rotation of more columns than a head has": (pass, x) =>
    pass.rotate(x, rotary({ frequencies: Float64Array.of(1, 1, 1) })),
  "attention over more tokens than there are": (pass, x) => pass.attention(x, x, x, { ...whole, lengths: [4] }),
  "attention with a window that is not causal": (pass, x) =>
    pass.attention(x, x, x, { ...whole, causal: false, window: 2 }),
  "attention with key heads that do not divide the heads": (pass, x) =>
    pass.attention(x, x, x, { ...whole, heads: 4, keyValueHeads: 3 }),
  "attention with a cache for too few sequences": (pass, x, _y, device) =>
    pass.attention(x, x, x, { ...whole, lengths: [1, 2], caches: [device.createCache()] }),
  "attention behind a prefix of other columns": (pass, x, y) =>
    pass.attention(x, x, x, { ...whole, prefix: { keys: pass.slice(y, 0, 2), values: y } }),
  "attention behind a prefix of more keys than values": (pass, x, y) =>
    pass.attention(x, x, x, { ...whole, prefix: { keys: x, values: y } }),
  "attention over a freed cache": (pass, x, _y, device) => {
    const cache = device.createCache();
    device.freeCache(cache);
    return pass.attention(x, x, x, { ...whole, caches: [cache] });
  },
};

function rotary(change: object) {
  const shape = { headSize: 4, positions: Int32Array.of(0, 1, 2), frequencies: Float64Array.of(1), scale: 1 };
  return { ...shape, pairing: "half" as const, ...change };
}

/** Attention of two sequences with everything that a family may ask for; the rows come and the caches stay. */
const cached = { heads: 4, keyValueHeads: 2, causal: true, scale: 0.5, window: 5, softcap: 2 };
const tokens = 9;

function cachedInputs(device: Device, seed: number) {
  const shape = { seed, lengths: [tokens, tokens], columns: 16, vocab: 7, dtype: "F32", trainable: true } as const;
  const shapes = { q: [16, 16], k: [8, 16], v: [8, 16], prefix: [3, 16] };
  const operation: Operation = { weights: () => shapes, apply: ({ x }) => x };
  const weights = load(device, computationOf(operation, shape));
  const ids = new Draw(seed).indices(2 * tokens, shape.vocab);
  const attend = (pass: Pass, rows: Int32Array, lengths: readonly number[], caches?: readonly KeyValueCache[]) => {
    const find = lookup(weights);
    const x = pass.embed(
      find("table"),
      rows.map((row) => ids[row] ?? 0),
    );
    const positions = rows.map((row) => row % tokens);
    const turn = (y: Activation) => pass.rotate(y, rotary({ positions }));
    const [q, k, v] = [
      pass.linear(x, find("q"), null),
      pass.linear(x, find("k"), null),
      pass.linear(x, find("v"), null),
    ];
    const before = pass.embed(find("prefix"), Int32Array.of(0, 1, 2));
    const prefix = { keys: pass.slice(before, 0, 8), values: pass.slice(before, 8, 8) };
    const shape = { ...cached, lengths, ...(seed % 2 === 0 && { prefix }), ...(caches && { caches }) };
    return pass.attention(turn(q), turn(k), v, shape);
  };
  const free = () => {
    for (const weight of weights.values()) device.freeWeight(weight);
  };
  return { attend, head: lookup(weights)("head"), free };
}

/** Logits [2 * tokens, vocab] of one pass over both sequences. */
async function attendAtOnce(device: Device, seed: number): Promise<Float32Array> {
  const { attend, head, free } = cachedInputs(device, seed);
  const pass = device.begin(null);
  const out = attend(
    pass,
    Int32Array.from({ length: 2 * tokens }, (_, row) => row),
    [tokens, tokens],
  );
  const logits = await pass.logits(out, head);
  pass.end();
  free();
  return logits;
}

/** The same, a few tokens of each sequence in a pass. */
async function attendByParts(device: Device, seed: number): Promise<Float32Array> {
  const { attend, head, free } = cachedInputs(device, seed);
  const draw = new Draw(seed + 1);
  const caches = [device.createCache(), device.createCache()];
  const logits = new Float32Array(2 * tokens * 7);
  const done = [0, 0];
  while (done.some((count) => count < tokens)) {
    const lengths = done.map((count) => Math.min(tokens - count, 1 + draw.below(4)));
    const open = lengths.flatMap((length, sequence) => (length > 0 ? [sequence] : []));
    const rows = open.flatMap((sequence) =>
      Array.from({ length: lengths[sequence] ?? 0 }, (_, i) => sequence * tokens + (done[sequence] ?? 0) + i),
    );
    const pass = device.begin(null);
    const some = open.map((sequence) => ({ length: lengths[sequence] ?? 0, cache: got(caches, sequence) }));
    const out = attend(
      pass,
      Int32Array.from(rows),
      some.map(({ length }) => length),
      some.map(({ cache }) => cache),
    );
    const part = await pass.logits(out, head);
    rows.forEach((row, i) => logits.set(part.subarray(i * 7, (i + 1) * 7), row * 7));
    pass.end();
    open.forEach((sequence) => (done[sequence] = (done[sequence] ?? 0) + (lengths[sequence] ?? 0)));
  }
  for (const cache of caches) device.freeCache(cache);
  free();
  return logits;
}

/** Scalars as training logs them: bfloat16, now and then 0; seeds of any 64 bits. */
function randomEntries(seed: number, count: number, decay: boolean): LogEntry[] {
  const draw = new Draw(seed ^ 0x5eed);
  return Array.from({ length: count }, () => ({
    seed: (BigInt(draw.below(2 ** 32)) << 32n) | BigInt(draw.below(2 ** 32)),
    scalar: draw.below(8) === 0 ? 0 : toBfloat16((draw.unit() - 0.5) * 10 ** -draw.below(6)),
    ...(decay && { decay: Math.fround(1 - draw.unit() * 1e-3) }),
  }));
}

function got<T, K>(found: { get(key: K): T | undefined } | { at(key: K): T | undefined }, key: K): T {
  const value = "get" in found ? found.get(key) : found.at(key);
  if (value === undefined) throw new Error(`no ${String(key)}`);
  return value;
}
