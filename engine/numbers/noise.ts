/**
 * The noise: integers from Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011),
 * addressed by (seed, tensor, element), so that any element of any step can be computed alone, anywhere, with the same bits.
 * docs/STEP_LOG.md, "Noise", defines it.
 */
import { createHash } from "node:crypto";
import { invariant } from "../../schema/errors.ts";
import type { StepLogHeader } from "../../schema/step-log.ts";

export type Noise = StepLogHeader["noise"];

/** Standard deviation of the integers n: z = n / sigma has variance 1. */
export const sigma: Readonly<Record<Noise, number>> = { normal: 2, rademacher: 1 };

/** The last word of the counter. 3 is the order of the rows (engine/train/batches.ts); 5 and above are not part of any log. */
export const streams = { normal: 0, rademacher: 1, rounding: 2, adapter: 4, sampling: 5 } as const;
const elementsPerBlock = { normal: 8, rademacher: 128, rounding: 8 } as const;

/** The first four bytes, little-endian, of SHA-256 of the tensor's name in UTF-8. */
export function tensorId(name: string): number {
  return createHash("sha256").update(name, "utf8").digest().readUInt32LE(0);
}

/** Writes n of elements start, start + 1, ... of a tensor into `out`. `start` is below 2^53. */
export type FillNoise = (out: Int8Array, noise: Noise, seed: bigint, tensor: number, start: number) => void;

export function fillNoise(out: Int8Array, noise: Noise, seed: bigint, tensor: number, start: number): void {
  if (noise === "normal") fillNormal(out, seed, tensor, start);
  else fillRademacher(out, seed, tensor, start);
}

/** Centred binomial: the number of ones in 16 bits, minus 8. */
function fillNormal(out: Int8Array, seed: bigint, tensor: number, start: number): void {
  forEachChunk(seed, tensor, "normal", start, out.length, (at, skip, count) => {
    for (let i = 0; 2 * i < skip + count; i++) words[i] = onesInHalves(words[i] ?? 0);
    for (let i = 0; i < count; i++) out[at + i] = (halves[skip + i] ?? 0) - 8;
  });
}

/** The 16 bits per element that stochastic rounding to bfloat16 adds below the kept bits. */
export function fillRounding(out: Uint16Array, seed: bigint, tensor: number, start: number): void {
  forEachChunk(seed, tensor, "rounding", start, out.length, (at, skip, count) => {
    out.set(halves.subarray(skip, skip + count), at);
  });
}

/** 1 - 2 * bit. */
function fillRademacher(out: Int8Array, seed: bigint, tensor: number, start: number): void {
  forEachChunk(seed, tensor, "rademacher", start, out.length, (at, skip, count) => {
    let bit = skip & 31;
    for (let w = skip >>> 5, i = 0; i < count; w++, bit = 0) {
      const word = words[w] ?? 0;
      for (; bit < 32 && i < count; bit++, i++) out[at + i] = 1 - 2 * ((word >>> bit) & 1);
    }
  });
}

/** Words of a chunk of blocks. Their little-endian 16-bit halves are in the order of the elements. */
const words = new Uint32Array(4 * 128);
const halves = new Uint16Array(words.buffer);

/**
 * Makes the words of elements start, ..., start + length - 1 a chunk at a time. Calls `write` for each chunk: its elements skip,
 * ..., skip + count - 1 are the elements from `at` on of the output.
 */
function forEachChunk(
  seed: bigint,
  tensor: number,
  kind: keyof typeof elementsPerBlock,
  start: number,
  length: number,
  write: (at: number, skip: number, count: number) => void,
): void {
  const philox = new Philox(seed, tensor, streams[kind]);
  const perBlock = elementsPerBlock[kind];
  for (let at = 0; at < length;) {
    const block = Math.floor((start + at) / perBlock);
    const skip = start + at - block * perBlock;
    const blocks = Math.min(words.length / 4, Math.ceil((skip + length - at) / perBlock));
    philox.blocks(block, blocks, words);
    const count = Math.min(blocks * perBlock - skip, length - at);
    write(at, skip, count);
    at += count;
  }
}

/** The number of ones in each 16-bit half, as two 16-bit numbers in one word. */
function onesInHalves(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  v = (v + (v >>> 4)) & 0x0f0f0f0f;
  return (v + (v >>> 8)) & 0x001f001f;
}

/** Philox4x32-10. The key is the seed; the upper counter words are the tensor and the stream. */
export class Philox {
  readonly #key0: number;
  readonly #key1: number;
  readonly #tensor: number;
  readonly #stream: number;

  constructor(seed: bigint, tensor: number, streamId: number) {
    this.#key0 = Number(seed & 0xffff_ffffn) | 0;
    this.#key1 = Number((seed >> 32n) & 0xffff_ffffn) | 0;
    this.#tensor = tensor | 0;
    this.#stream = streamId;
  }

  /** Writes the four words of each of blocks first, ..., first + count - 1 into `out`. Block numbers are below 2^53. */
  blocks(first: number, count: number, out: Uint32Array): void {
    invariant(Number.isSafeInteger(first + count) && first >= 0, "block numbers are safe integers");
    for (let i = 0; i < count; i++) this.#block(first + i, out, 4 * i);
  }

  #block(block: number, out: Uint32Array, at: number): void {
    let c0 = block | 0;
    let c1 = (block / 0x1_0000_0000) | 0;
    let c2 = this.#tensor;
    let c3 = this.#stream;
    let key0 = this.#key0;
    let key1 = this.#key1;
    for (let round = 0; round < 10; round++) {
      const high0 = multiplyHigh(0xd2511f53, c0);
      const high1 = multiplyHigh(0xcd9e8d57, c2);
      const low0 = Math.imul(0xd2511f53, c0);
      const low1 = Math.imul(0xcd9e8d57, c2);
      c0 = high1 ^ c1 ^ key0;
      c1 = low1;
      c2 = high0 ^ c3 ^ key1;
      c3 = low0;
      key0 = (key0 + 0x9e3779b9) | 0;
      key1 = (key1 + 0xbb67ae85) | 0;
    }
    out[at] = c0;
    out[at + 1] = c1;
    out[at + 2] = c2;
    out[at + 3] = c3;
  }
}

/**
 * The upper 32 bits of the product of two unsigned 32-bit numbers, from the products of their halves. No sum exceeds 2^32 - 1,
 * so 32-bit integer arithmetic suffices.
 */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const crossLow = (Math.imul(aLow, bHigh) + (cross & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (crossLow >>> 16)) | 0;
}
