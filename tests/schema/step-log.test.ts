import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import type { LogEntry, StepLogHeader } from "../../schema/step-log.ts";
import {
  Chain,
  canonicalJson,
  decodeHeader,
  decodeStepLog,
  encodeEntries,
  encodeHeader,
  encodeStepLog,
  packDecays,
  packScalars,
  ruleSeed,
  stepLogBytes,
} from "../../schema/step-log.ts";

const header: StepLogHeader = {
  format: 1,
  base: "ab".repeat(32),
  trainable: [{ name: "a.weight", shape: [2, 3], dtype: "F32" }],
  noise: "rademacher",
  seed: 7,
  hyperparameters: { learningRate: 1e-6, steps: 3 },
};

const scalarArb = fc.integer({ min: 0, max: 0xffff }).map(bfloat16).filter(Number.isFinite);
const decayArb = fc.float({ min: 0.5, max: 1, noNaN: true });

function bfloat16(upper: number): number {
  const bits = Buffer.alloc(4);
  bits.writeUInt16BE(upper);
  return bits.readFloatBE();
}

function byRule(scalars: readonly number[], decays?: readonly number[]): LogEntry[] {
  return scalars.map((scalar, k) => {
    const decay = decays?.[k];
    return { seed: ruleSeed(header.seed, k), scalar, ...(decay !== undefined && { decay }) };
  });
}

function refusal(bytes: Uint8Array): SteplogError {
  try {
    decodeStepLog(bytes);
  } catch (error) {
    if (error instanceof SteplogError) return error;
    throw error;
  }
  throw new Error("the file was read without complaint");
}

describe("a .steplog file", () => {
  test("gives back what was written, with and without decays", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(scalarArb, decayArb), { maxLength: 50 }), fc.boolean(), (pairs, decayed) => {
        const entries = byRule(
          pairs.map(([scalar]) => scalar),
          decayed ? pairs.map(([, decay]) => decay) : undefined,
        );
        const log = decodeStepLog(encodeEntries(header, entries));
        expect([...log.entries]).toStrictEqual(entries);
        expect(log.header).toStrictEqual(header);
      }),
    );
  });

  test("is the same bytes from packed parts as from entries", () => {
    const entries = byRule([bfloat16(0x3f80), bfloat16(0xb580)], [0.5, 1]);
    const headerBytes = encodeHeader(header);
    const chain = Chain.start(headerBytes);
    for (const entry of entries) chain.add(entry);
    const scalars = packScalars(entries.map((entry) => entry.scalar));
    const packed = encodeStepLog({ headerBytes, scalars, decays: packDecays([0.5, 1]), chain: chain.hash });
    expect(Buffer.compare(packed, encodeEntries(header, entries))).toBe(0);
  });

  test("stores seeds that leave the rule, as runs", () => {
    const entries = [5n, 6n, 7n, 2n ** 64n - 1n, 0n, 9n].map((seed) => ({ seed, scalar: 1 }));
    const bytes = encodeEntries(header, entries);
    expect([...decodeStepLog(bytes).entries]).toStrictEqual(entries);
    expect(bytes.length).toBe(stepLogBytes(encodeHeader(header).length, 6, false) + 4 * 12);
  });

  test("takes two bytes a step: 20,000 steps in 41 kB", () => {
    const entries = byRule(Array.from({ length: 20_000 }, () => bfloat16(0x3589)));
    expect(encodeEntries(header, entries).length).toBeLessThan(41_000);
  });

  test("is chained as documented", () => {
    const entries = byRule([bfloat16(0x3589), bfloat16(0xb540)], [0.999, 1]);
    let chain = createHash("sha256").update(canonicalJson(header)).digest();
    for (const { seed, scalar, decay } of entries) {
      const record = Buffer.alloc(16);
      record.writeBigUInt64LE(seed, 0);
      record.writeFloatLE(scalar, 8);
      record.writeFloatLE(decay ?? 1, 12);
      chain = createHash("sha256").update(chain).update(record).digest();
    }
    expect(Buffer.from(decodeStepLog(encodeEntries(header, entries)).chain).equals(chain)).toBe(true);
  });

  const good = encodeEntries(header, byRule([bfloat16(0x3589), bfloat16(0xb540), 0]));

  test("is refused with any byte changed", () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bad = Uint8Array.from(good);
        bad[at] = (bad[at] ?? 0) ^ mask;
        expect(refusal(bad).code).toBe("LOG_INVALID");
      }),
    );
  });

  test("is refused when truncated anywhere, and says so", () => {
    fc.assert(fc.property(fc.nat(good.length - 1), (length) => void refusal(good.subarray(0, length))));
    expect(refusal(good.subarray(0, good.length - 1)).message).toContain("truncated");
  });

  test.each([
    ["trailing bytes", Buffer.concat([good, Buffer.from([0])]), "trailing"],
    [
      "another version",
      Buffer.concat([good.subarray(0, 8), Buffer.from([2, 0, 0, 0]), good.subarray(12)]),
      "version 2",
    ],
    ["another kind of file", Buffer.from("PK and so on, long enough to be looked at"), "not a .steplog"],
    ["no bytes", Buffer.alloc(0), "not a .steplog"],
  ])("is refused with %s, naming it", (_, bytes, words) => {
    expect(refusal(bytes).message).toContain(words);
  });

  test("is refused with a scalar that is not finite", () => {
    expect(refusal(encodeEntries(header, byRule([Infinity]))).message).toContain("Entry 0");
  });
});

describe("a header", () => {
  test("has one text, whatever the order of its keys", () => {
    const { seed, ...rest } = header;
    expect(Buffer.compare(encodeHeader({ seed, ...rest }), encodeHeader(header))).toBe(0);
  });

  test("is refused when it is not canonical", () => {
    const spaced = new TextEncoder().encode(JSON.stringify(header, null, 1));
    expect(() => decodeHeader(spaced)).toThrow(/canonical/u);
  });

  test("is refused with a field missing, which is named", () => {
    const { noise: _, ...rest } = header;
    const bytes = new TextEncoder().encode(canonicalJson(rest));
    expect(() => decodeHeader(bytes)).toThrow(
      expect.objectContaining({ issues: [expect.objectContaining({ field: "noise" })] }),
    );
  });
});
