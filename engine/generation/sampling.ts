/**
 * Sampling the next token: temperature, then top-k, then top-p, the nucleus of Holtzman et al., "The Curious Case of Neural
 * Text Degeneration", ICLR 2020. Token t of a continuation uses block t of the seed's Philox stream, so equal logits and
 * seeds give equal text.
 */
import type { Choose } from "./generate.ts";
import { likeliest } from "./generate.ts";
import { Philox, streams } from "../numbers/noise.ts";

export interface Sampling {
  /** Logits are divided by it; 0 picks the likeliest token. */
  readonly temperature: number;
  /** Samples from this many of the likeliest tokens; of equal ones, those with the lowest id. All if left out. */
  readonly topK?: number;
  /** Samples from the smallest set of likeliest tokens with this total probability: above 0, up to 1. */
  readonly topP?: number;
  readonly seed: number;
}

/** Picks the tokens of one continuation. */
export function sampler(sampling: Sampling): Choose {
  if (sampling.temperature === 0) return likeliest;
  const random = uniform(sampling.seed);
  return (logits) => {
    const at = random();
    const tokens = candidates(logits, sampling);
    // With infinite or NaN logits there is no distribution to sample from.
    const total = sum(tokens);
    return total > 0 && total < Infinity ? drawn(tokens, at * total) : likeliest(logits);
  };
}

/** Uniform in [0, 1), with the 53 bits of a double. */
function uniform(seed: number): () => number {
  const philox = new Philox(BigInt(seed), 0, streams.sampling);
  const words = new Uint32Array(2 * 2);
  let block = 0;
  return () => {
    philox.blocks(block++, 1, words);
    const [high = 0, low = 0] = words;
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  };
}

interface Candidate {
  readonly token: number;
  /** Its probability, up to a common factor. */
  readonly weight: number;
}

function candidates(logits: Float32Array, { temperature, topK = logits.length, topP = 1 }: Sampling): Candidate[] {
  const highest = logits.reduce((best, logit) => Math.max(best, logit), -Infinity);
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - highest) / temperature));
  if (topK >= logits.length && topP >= 1) return Array.from(weights, (weight, token) => ({ token, weight }));
  const floor = lowestWanted(weights, topK, topP);
  const found: Candidate[] = [];
  for (const [token, weight] of weights.entries()) if (weight >= floor) found.push({ token, weight });
  // The sort is stable: equal tokens stay in order of id.
  const sorted = found.toSorted((a, b) => b.weight - a.weight).slice(0, topK);
  return nucleus(sorted, topP * (topK < weights.length ? sum(sorted) : weights.reduce(add)));
}

/**
 * Tokens with lower weights are never picked, so most of a vocabulary need not be sorted: they are not among the k likeliest,
 * or, without top-k, all of them together weigh less than the nucleus leaves out.
 */
function lowestWanted(weights: Float64Array, topK: number, topP: number): number {
  if (topK < weights.length) return weights.toSorted()[weights.length - topK] ?? 0;
  return (weights.reduce(add) * (1 - topP)) / (2 * weights.length);
}

/** The first of `sorted` that together weigh `enough`; all of them if rounding keeps their sum below it. */
function nucleus(sorted: Candidate[], enough: number): Candidate[] {
  let reached = 0;
  const last = sorted.findIndex(({ weight }) => (reached += weight) >= enough);
  return last < 0 ? sorted : sorted.slice(0, last + 1);
}

/** With the weights laid end to end from 0, the token whose interval contains `at`. */
function drawn(tokens: readonly Candidate[], at: number): number {
  let reached = 0;
  let last = 0;
  for (const { token, weight } of tokens) {
    if (weight === 0) continue;
    reached += weight;
    last = token;
    if (at < reached) break;
  }
  return last;
}

function sum(tokens: readonly Candidate[]): number {
  return tokens.reduce((total, { weight }) => total + weight, 0);
}

function add(a: number, b: number): number {
  return a + b;
}
