/** The likeliest tokens of logits [vocab], without sorting a whole vocabulary. */

type Values = Float32Array | Float64Array;

/** The token with the highest logit; the first of several. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++)
    if ((logits[token] ?? -Infinity) > (logits[best] ?? -Infinity)) best = token;
  return best;
}

/** The k likeliest tokens, likeliest first; of equal ones, those with the lowest ids. */
export function topTokens(logits: Float32Array, k: number): number[] {
  const floor = k < logits.length ? kthHighest(logits, k) : -Infinity;
  return tokensFrom(logits, floor)
    .toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0))
    .slice(0, k);
}

/** The tokens with at least this logit, or weight, in order of id. */
export function tokensFrom(values: Values, floor: number): number[] {
  const found: number[] = [];
  for (let token = 0; token < values.length; token++) if ((values[token] ?? -Infinity) >= floor) found.push(token);
  return found;
}

/** The k-th highest of the values, none of which is NaN; 0 < k <= values.length. */
export function kthHighest(values: Values, k: number): number {
  // A heap of the k highest so far, the lowest of them first. A sorted array is one.
  const heap = values.subarray(0, k).toSorted();
  for (let i = k; i < values.length; i++) {
    const value = values[i] ?? -Infinity;
    if (value > (heap[0] ?? -Infinity)) replaceLowest(heap, value);
  }
  return heap[0] ?? -Infinity;
}

function replaceLowest(heap: Values, value: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if ((heap[child + 1] ?? Infinity) < (heap[child] ?? Infinity)) child += 1;
    const lower = heap[child] ?? Infinity;
    if (lower >= value) break;
    heap[at] = lower;
    at = child;
  }
  heap[at] = value;
}
