/**
 * Sampling the next token: penalties, then temperature, then top-k, then top-p, the nucleus of Holtzman et al., "The Curious
 * Case of Neural Text Degeneration", ICLR 2020, then min-p (Nguyen et al., "Turning Up the Heat", 2024). Token t of choice c
 * uses block t of the Philox stream of (seed, c), so equal logits and seeds give equal text, and a text that was interrupted
 * goes on as it would have.
 */
import { Philox, streams } from "../numbers/noise.ts";
import type { LogitChanges } from "./penalties.ts";
import { logitChanger } from "./penalties.ts";
import { kthHighest, likeliest, tokensFrom } from "./top-tokens.ts";

/** Picks the next token by its logits, [vocab]. */
export type Choose = (logits: Float32Array) => number;

export interface Sampling extends LogitChanges {
  /** Logits are divided by it; 0 picks the likeliest token. */
  readonly temperature: number;
  /** Samples from this many of the likeliest tokens; of equal ones, those with the lowest id. All if left out or null. */
  readonly topK?: number | null;
  /** Samples from the smallest set of likeliest tokens with this total probability: above 0, up to 1. */
  readonly topP?: number;
  /** Leaves out tokens that are less likely than this share of the likeliest: from 0 to 1. */
  readonly minP?: number;
  readonly seed: number;
}

/** Which text is sampled. */
export interface SampledText {
  /** Of several texts after the same prompt; 0 is the first. */
  readonly choice?: number;
  /** Tokens before the text. */
  readonly prompt?: Iterable<number>;
  /** Tokens generated so far; sampling resumes after them. */
  readonly written?: readonly number[];
}

/** Picks the tokens of one text. */
export function sampler(sampling: Sampling, { choice = 0, prompt = [], written = [] }: SampledText = {}): Choose {
  const random = uniform(sampling.seed, choice, written.length);
  const changer = logitChanger(sampling, prompt, written);
  return (logits) => {
    const token = draw(changer.apply(logits), sampling, random());
    changer.count(token);
    return token;
  };
}

/** Uniform in [0, 1), with the 53 bits of a double. */
function uniform(seed: number, choice: number, start: number): () => number {
  const philox = new Philox(BigInt(seed), choice, streams.sampling);
  const words = new Uint32Array(2 * 2);
  let block = start;
  return () => {
    philox.blocks(block++, 1, words);
    const [high = 0, low = 0] = words;
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  };
}

function draw(logits: Float32Array, sampling: Sampling, at: number): number {
  const highest = highestOf(logits);
  // With infinite or NaN logits there is no distribution to sample from.
  if (sampling.temperature === 0 || !Number.isFinite(highest)) return likeliest(logits);
  const { tokens, weights } = candidates(logits, highest, sampling);
  const index = drawn(weights, at * sum(weights));
  return tokens ? (tokens[index] ?? 0) : index;
}

/** NaN if one of them is. */
function highestOf(logits: Float32Array): number {
  let highest = -Infinity;
  // By index: iterators over a whole vocabulary take several times as long, here and in `sum`.
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] ?? NaN;
    if (!(logit <= highest)) highest = logit > highest ? logit : NaN;
  }
  return highest;
}

interface Candidates {
  /** Null for the whole vocabulary in order of id. */
  readonly tokens: readonly number[] | null;
  /** Their probabilities, up to a common factor: the likeliest has 1. */
  readonly weights: Float64Array;
}

function candidates(logits: Float32Array, highest: number, sampling: Sampling): Candidates {
  const { temperature, topP = 1, minP = 0 } = sampling;
  const topK = sampling.topK ?? logits.length;
  if (topK < logits.length) {
    const pool = tokensFrom(logits, lowestOfTop(logits, topK, highest, temperature));
    const weigh = (token: number) => Math.exp(((logits[token] ?? -Infinity) - highest) / temperature);
    const sorted = byWeight(pool, weigh, topK);
    return heavy(nucleus(sorted, topP * sum(sorted.weights)) ?? sorted, minP);
  }
  const all = new Float64Array(logits.length);
  for (let token = 0; token < all.length; token++)
    all[token] = Math.exp(((logits[token] ?? -Infinity) - highest) / temperature);
  if (topP < 1) return heavy(nucleusOf(all, topP), minP);
  if (minP > 0) for (let token = 0; token < all.length; token++) if (!((all[token] ?? 0) >= minP)) all[token] = 0;
  return { tokens: null, weights: all };
}

/** Of a whole vocabulary the nucleus is mostly a few tokens, so that the others need not be sorted. */
function nucleusOf(all: Float64Array, topP: number): Sorted {
  const enough = topP * sum(all);
  for (const most of [256, 4096]) {
    if (most >= all.length) break;
    const found = nucleus(heaviest(all, kthHighest(all, most)), enough);
    if (found) return found;
  }
  const sorted = heaviest(all, 0);
  // Rounding may keep the sum of all below what would be enough.
  return nucleus(sorted, enough) ?? sorted;
}

/** The tokens that weigh at least `floor`, heaviest first. */
function heaviest(all: Float64Array, floor: number): Sorted {
  return byWeight(tokensFrom(all, floor), (token) => all[token] ?? 0, all.length);
}

interface Sorted extends Candidates {
  readonly tokens: readonly number[];
}

/** Slightly below the logit of the k-th likeliest token, since logits that hardly differ weigh the same and go by id. */
function lowestOfTop(logits: Float32Array, topK: number, highest: number, temperature: number): number {
  const lowest = kthHighest(logits, topK);
  return lowest - 1e-12 * (temperature + highest - lowest);
}

/** The `most` heaviest; equal ones stay in order of id, since the sort is stable. */
function byWeight(pool: readonly number[], weigh: (token: number) => number, most: number): Sorted {
  const sorted = pool
    .map((token) => ({ token, weight: weigh(token) }))
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, most);
  return { tokens: sorted.map(({ token }) => token), weights: Float64Array.from(sorted, ({ weight }) => weight) };
}

/** The first that together weigh `enough`; null if all of them do not. */
function nucleus(sorted: Sorted, enough: number): Sorted | null {
  let reached = 0;
  const last = sorted.weights.findIndex((weight) => (reached += weight) >= enough);
  return last < 0 ? null : first(sorted, last + 1);
}

/** Without those that weigh less than `least`. */
function heavy(sorted: Sorted, least: number): Sorted {
  const light = sorted.weights.findIndex((weight) => weight < least);
  return light < 0 ? sorted : first(sorted, light);
}

function first({ tokens, weights }: Sorted, count: number): Sorted {
  return { tokens: tokens.slice(0, count), weights: weights.subarray(0, count) };
}

/** With the weights laid end to end from 0, the index of the one whose interval contains `at`. */
function drawn(weights: Float64Array, at: number): number {
  let reached = 0;
  let last = 0;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    reached += weight;
    last = index;
    if (at < reached) break;
  }
  return last;
}

function sum(weights: Float64Array): number {
  let total = 0;
  for (let index = 0; index < weights.length; index++) total += weights[index] ?? 0;
  return total;
}
