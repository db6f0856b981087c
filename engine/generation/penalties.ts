/** What is done to logits before a token is drawn: a bias for some tokens, and penalties for those that were there before. */

export interface LogitChanges {
  /** Added to the logits of these tokens, before the penalties. */
  readonly logitBias?: readonly (readonly [token: number, bias: number])[];
  /**
   * Logits of the tokens of prompt and text so far are divided by it if they are positive, else multiplied (Keskar et al.,
   * "CTRL", 2019). 1 changes nothing.
   */
  readonly repetitionPenalty?: number;
  /** Subtracted from the logit of each token of the text so far. */
  readonly presencePenalty?: number;
  /** Subtracted as often as the token is in the text so far. */
  readonly frequencyPenalty?: number;
}

export interface Changer {
  /** The logits [vocab] of the next token; the same array if nothing changes. */
  apply(logits: Float32Array): Float32Array;
  /** Tells which token came next. */
  count(token: number): void;
}

/** `text` is what has been written after the prompt so far. */
export function logitChanger(changes: LogitChanges, prompt: Iterable<number>, text: Iterable<number>): Changer {
  const { logitBias = [], repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = changes;
  const seen = new Set(prompt);
  const counts = new Map<number, number>();
  const count = (token: number) => {
    seen.add(token);
    counts.set(token, (counts.get(token) ?? 0) + 1);
  };
  for (const token of text) count(token);
  const penalises = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  const apply = (logits: Float32Array) => {
    if (logitBias.length === 0 && !penalises) return logits;
    const changed = logits.slice();
    const change = (token: number, by: (logit: number) => number) => {
      const logit = changed[token];
      if (logit !== undefined) changed[token] = by(logit);
    };
    for (const [token, bias] of logitBias) change(token, (logit) => logit + bias);
    if (repetitionPenalty !== 1)
      for (const token of seen)
        change(token, (logit) => (logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty));
    for (const [token, times] of counts) change(token, (logit) => logit - presencePenalty - frequencyPenalty * times);
    return changed;
  };
  return { apply, count };
}
