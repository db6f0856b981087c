/**
 * Drawing the next token: temperature, the k likeliest, and the nucleus (Holtzman et al., "The Curious Case of Neural Text
 * Degeneration", ICLR 2020), one after the other. Token t of a continuation takes block t of the seed's Philox stream, so
 * that equal logits and an equal seed give equal text.
 */
import type { Choose } from "./generate.ts";
import { likeliest } from "./generate.ts";
import { Philox, streams } from "../numbers/noise.ts";

export interface Sampling {
  /** Logits are divided by it; 0 takes the likeliest token. */
  readonly temperature: number;
  /** Tokens to draw from at most; equals by their number. All when left out. */
  readonly topK?: number;
  /** Draws from the fewest of the likeliest tokens that have this probability together: above 0, up to 1. */
  readonly topP?: number;
  readonly seed: number;
}

/** What chooses the tokens of one continuation. */
export function sampler(sampling: Sampling): Choose {
  if (sampling.temperature === 0) return likeliest;
  const random = uniform(sampling.seed);
  return (logits) => {
    const at = random();
    const tokens = candidates(logits, sampling);
    // Neither a sum nor a share of it can be taken of logits that are infinite or no numbers.
    const total = sum(tokens);
    return total > 0 && total < Infinity ? drawn(tokens, at * total) : likeliest(logits);
  };
}

/** From 0 to below 1, with the 53 bits that a double holds. */
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
  /** Its probability, but for a factor that all have in common. */
  readonly weight: number;
}

function candidates(logits: Float32Array, { temperature, topK = logits.length, topP = 1 }: Sampling): Candidate[] {
  const highest = logits.reduce((best, logit) => Math.max(best, logit), -Infinity);
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - highest) / temperature));
  if (topK >= logits.length && topP >= 1) return Array.from(weights, (weight, token) => ({ token, weight }));
  const floor = lowestWanted(weights, topK, topP);
  const found: Candidate[] = [];
  for (const [token, weight] of weights.entries()) if (weight >= floor) found.push({ token, weight });
  // Sorting keeps the order of equals.
  const sorted = found.toSorted((a, b) => b.weight - a.weight).slice(0, topK);
  return nucleus(sorted, topP * (topK < weights.length ? sum(sorted) : weights.reduce(add)));
}

/**
 * What lies below is never drawn, and need not be sorted, as most of a vocabulary: it is not among the k likeliest, or, where
 * all are wanted, all of its like together have less than the nucleus leaves out.
 */
function lowestWanted(weights: Float64Array, topK: number, topP: number): number {
  if (topK < weights.length) return weights.toSorted()[weights.length - topK] ?? 0;
  return (weights.reduce(add) * (1 - topP)) / (2 * weights.length);
}

/** The first of `sorted` that weigh `enough`; all of them where rounding keeps their sum below it. */
function nucleus(sorted: Candidate[], enough: number): Candidate[] {
  let reached = 0;
  const last = sorted.findIndex(({ weight }) => (reached += weight) >= enough);
  return last < 0 ? sorted : sorted.slice(0, last + 1);
}

/** The token in whose part of the line `at` falls. */
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
