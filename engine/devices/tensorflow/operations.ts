/** Activation functions, norms and cross-entropy as TensorFlow operations on [rows, columns]. Every temporary is freed at once. */
import type { ActivationFunction } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";

export const activations: Readonly<Record<ActivationFunction, (tf: TensorFlow, x: Handle) => Handle>> = {
  relu: (tf, x) => tf.unary("Relu", x),
  gelu: (tf, x) => gated(tf, x, steps(tf, tf.binary("Mul", x, tf.scalar(Math.SQRT1_2)), [(y) => tf.unary("Erf", y)])),
  gelu_tanh(tf, x) {
    const gate = steps(tf, tf.unary("Square", x), [
      (y) => tf.binary("Mul", y, tf.scalar(0.044715)),
      (y) => tf.binary("AddV2", y, tf.scalar(1)),
      (y) => tf.binary("Mul", y, x),
      (y) => tf.binary("Mul", y, tf.scalar(Math.sqrt(2 / Math.PI))),
      (y) => tf.unary("Tanh", y),
    ]);
    return gated(tf, x, gate);
  },
  silu: (tf, x) => tf.next(tf.unary("Sigmoid", x), (gate) => tf.binary("Mul", x, gate)),
};

/** 0.5 * x * (1 + gate). */
function gated(tf: TensorFlow, x: Handle, gate: Handle): Handle {
  return steps(tf, gate, [
    (y) => tf.binary("AddV2", y, tf.scalar(1)),
    (y) => tf.binary("Mul", y, tf.scalar(0.5)),
    (y) => tf.binary("Mul", y, x),
  ]);
}

/** Each step takes what the one before made, which is freed. */
export function steps(tf: TensorFlow, x: Handle, chain: readonly ((x: Handle) => Handle)[]): Handle {
  return chain.reduce((made, step) => tf.next(made, step), x);
}

/** Scores become softcap * tanh(score / softcap); x itself without one. */
export function capped(tf: TensorFlow, x: Handle, softcap: number | undefined): Handle {
  if (softcap === undefined) return x;
  return steps(tf, tf.binary("Mul", x, tf.scalar(1 / softcap)), [
    (y) => tf.unary("Tanh", y),
    (y) => tf.binary("Mul", y, tf.scalar(softcap)),
  ]);
}

/** Layer norm of each row; `weight` and `bias` are [1, columns] or left out. */
export function layerNorm(tf: TensorFlow, x: Handle, weight: Handle | null, bias: Handle | null, epsilon: number) {
  const centred = tf.next(tf.reduce("Mean", x), (mean) => tf.binary("Sub", x, mean));
  const inverse = inverseRoot(tf, centred, epsilon);
  let y = tf.binary("Mul", centred, inverse);
  tf.free(centred);
  tf.free(inverse);
  if (weight) y = tf.next(y, (z) => tf.binary("Mul", z, weight));
  if (bias) y = tf.next(y, (z) => tf.binary("AddV2", z, bias));
  return y;
}

/** Root-mean-square norm of each row of x [groups, size]; `scales` is [1, size]. */
export function rmsNorm(tf: TensorFlow, x: Handle, scales: Handle, epsilon: number): Handle {
  const y = tf.next(inverseRoot(tf, x, epsilon), (inverse) => tf.binary("Mul", x, inverse));
  return tf.next(y, (z) => tf.binary("Mul", z, scales));
}

/** 1 / sqrt(mean(x^2) + epsilon) of each row. */
function inverseRoot(tf: TensorFlow, x: Handle, epsilon: number): Handle {
  return steps(tf, tf.unary("Square", x), [
    (y) => tf.reduce("Mean", y),
    (y) => tf.binary("AddV2", y, tf.scalar(epsilon)),
    (y) => tf.unary("Rsqrt", y),
  ]);
}

/** log(sum(exp(x))) of each row: [rows, 1]. */
export function logSumExp(tf: TensorFlow, x: Handle): Handle {
  const peaks = tf.reduce("Max", x);
  const sums = steps(tf, tf.binary("Sub", x, peaks), [
    (y) => tf.unary("Exp", y),
    (y) => tf.reduce("Sum", y),
    (y) => tf.unary("Log", y),
    (y) => tf.binary("AddV2", y, peaks),
  ]);
  tf.free(peaks);
  return sums;
}
