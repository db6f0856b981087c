/** How likely tokens were, under the model's own distribution: before penalties and temperature. */
import { topTokens } from "./top-tokens.ts";

export interface LogProbability {
  readonly token: number;
  /** Natural logarithm. */
  readonly logProbability: number;
}

export interface TokenLogProbabilities extends LogProbability {
  /** The likeliest tokens, likeliest first. */
  readonly top: readonly LogProbability[];
}

/** Of the token that was picked by logits [vocab], and of the `top` likeliest. */
export function logProbabilities(logits: Float32Array, token: number, top: number): TokenLogProbabilities {
  const total = logSumExp(logits);
  const of = (id: number) => ({ token: id, logProbability: (logits[id] ?? -Infinity) - total });
  return { ...of(token), top: top > 0 ? topTokens(logits, top).map(of) : [] };
}

function logSumExp(logits: Float32Array): number {
  let highest = -Infinity;
  // By index, as in sampling.ts: iterators take several times as long.
  for (let token = 0; token < logits.length; token++) highest = Math.max(highest, logits[token] ?? -Infinity);
  let sum = 0;
  for (let token = 0; token < logits.length; token++) sum += Math.exp((logits[token] ?? -Infinity) - highest);
  return highest + Math.log(sum);
}
