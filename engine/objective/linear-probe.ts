/**
 * Linear probing (Kumar et al. 2022), a baseline of the MeZO paper: the model does not change, and a linear classifier is
 * fitted to the hidden states at which the model would predict the completion.
 */
import { invariant } from "../../schema/errors.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { ForwardModel } from "../model/model.ts";

/** Rows of a classification, and the class of each, from 0. */
export interface ProbeRows {
  readonly rows: readonly EncodedRow[];
  readonly classes: readonly number[];
}

export interface Probe {
  readonly training: ProbeRows;
  readonly validation: ProbeRows;
  /** Number of classes. */
  readonly count: number;
}

const rowsAtOnce = 32;
const iterations = 500;
/** Weight of the penalty |w|^2 / 2 on standardised features, as scikit-learn's default C = 1. */
const penalty = 1;

/** Mean cross-entropy over the classes, nats, and accuracy on the validation rows. What `pause` throws ends it. */
export async function linearProbe(model: ForwardModel, { training, validation, count }: Probe, pause = async () => {}) {
  const [known, asked] = [await probeFeatures(model, training.rows), await probeFeatures(model, validation.rows)];
  const scale = standardised(known);
  const weights = await fit(known.map(scale), training.classes, count, pause);
  const losses = asked.map((features, i) => {
    const shares = softmax(scoresOf(weights, scale(features)));
    const wanted = shares[validation.classes[i] ?? -1] ?? NaN;
    return { loss: -Math.log(Math.max(wanted, Number.MIN_VALUE)), right: shares.every((share) => share <= wanted) };
  });
  return {
    rows: losses.length,
    loss: losses.reduce((sum, { loss }) => sum + loss, 0) / losses.length,
    accuracy: losses.filter(({ right }) => right).length / losses.length,
  };
}

/** The hidden state at which each row's first scored token is predicted. */
export async function probeFeatures(model: ForwardModel, rows: readonly EncodedRow[]): Promise<Float64Array[]> {
  const features: Float64Array[] = [];
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    const some = rows.slice(at, at + rowsAtOnce);
    const hidden = await model.hiddenStates(some.map(({ ids, positions }) => ({ ids, at: positions[0] ?? 0 })));
    const columns = hidden.length / some.length;
    some.forEach((_, row) => features.push(Float64Array.from(hidden.subarray(row * columns, (row + 1) * columns))));
  }
  return features;
}

/** Scales features to mean 0 and variance 1 over the given rows, and appends a 1 for the bias. */
function standardised(rows: readonly Float64Array[]): (features: Float64Array) => Float64Array {
  const [first] = rows;
  invariant(first, "there are rows to learn from");
  const mean = first.map((_, j) => rows.reduce((sum, row) => sum + (row[j] ?? 0), 0) / rows.length);
  const spread = first.map((_, j) =>
    Math.sqrt(rows.reduce((sum, row) => sum + ((row[j] ?? 0) - (mean[j] ?? 0)) ** 2, 0) / rows.length),
  );
  return (features) => {
    const scaled = new Float64Array(features.length + 1).fill(1);
    scaled.set(features.map((value, j) => ((spread[j] ?? 0) > 0 ? (value - (mean[j] ?? 0)) / (spread[j] ?? 1) : 0)));
    return scaled;
  };
}

/** Multinomial logistic regression, a convex problem, by Nesterov's accelerated gradient descent from zero. */
async function fit(
  rows: readonly Float64Array[],
  classes: readonly number[],
  count: number,
  pause: () => Promise<void>,
): Promise<Float64Array[]> {
  const columns = rows[0]?.length ?? 0;
  const zeros = () => Array.from({ length: count }, () => new Float64Array(columns));
  const rate = 1 / (largestEigenvalue(rows) / 2 + penalty / rows.length);
  let [weights, ahead] = [zeros(), zeros()];
  for (let t = 0; t < iterations; t++) {
    await pause();
    const gradient = zeros();
    for (const [i, row] of rows.entries()) {
      const shares = softmax(scoresOf(ahead, row));
      for (const [c, sums] of gradient.entries()) {
        const error = ((shares[c] ?? 0) - (classes[i] === c ? 1 : 0)) / rows.length;
        for (let j = 0; j < columns; j++) sums[j] = (sums[j] ?? 0) + error * (row[j] ?? 0);
      }
    }
    const next = ahead.map((w, c) =>
      w.map(
        (value, j) =>
          value - rate * ((gradient[c]?.[j] ?? 0) + (j < columns - 1 ? (penalty / rows.length) * value : 0)),
      ),
    );
    ahead = next.map((w, c) => w.map((value, j) => value + (t / (t + 3)) * (value - (weights[c]?.[j] ?? 0))));
    weights = next;
  }
  return weights;
}

/** An upper estimate of the largest eigenvalue of the rows' covariance, by power iteration: it bounds the loss's curvature. */
function largestEigenvalue(rows: readonly Float64Array[]): number {
  let direction = new Float64Array(rows[0]?.length ?? 0).fill(1);
  let value = 1;
  for (let i = 0; i < 30; i++) {
    const image = new Float64Array(direction.length);
    for (const row of rows) {
      const along = dot(row, direction) / rows.length;
      for (let j = 0; j < image.length; j++) image[j] = (image[j] ?? 0) + along * (row[j] ?? 0);
    }
    value = Math.sqrt(dot(image, image));
    direction = image.map((one) => one / value);
  }
  return 1.1 * value;
}

function scoresOf(weights: readonly Float64Array[], row: Float64Array): number[] {
  return weights.map((w) => dot(w, row));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] ?? 0) * (b[j] ?? 0);
  return sum;
}

function softmax(scores: readonly number[]): number[] {
  const peak = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const shares = scores.map((score) => Math.exp(score - peak));
  const total = shares.reduce((a, b) => a + b);
  return shares.map((share) => share / total);
}
