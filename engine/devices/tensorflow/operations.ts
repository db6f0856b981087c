/** Activation functions and cross-entropy as TensorFlow operations. */
import type { ActivationFunction } from "../device.ts";
import type { Handle, TensorFlow } from "./binding.ts";
import { types } from "./binding.ts";

export const activations: Readonly<Record<ActivationFunction, (tf: TensorFlow, x: Handle) => Handle>> = {
  relu: (tf, x) => tf.unary("Relu", x),
  gelu: (tf, x) => gated(tf, x, tf.unary("Erf", tf.binary("Mul", x, tf.scalar(Math.SQRT1_2)))),
  gelu_tanh(tf, x) {
    const cubes = tf.binary("Mul", tf.binary("Mul", tf.unary("Square", x), x), tf.scalar(0.044715));
    const scaled = tf.binary("Mul", tf.binary("AddV2", x, cubes), tf.scalar(Math.sqrt(2 / Math.PI)));
    return gated(tf, x, tf.unary("Tanh", scaled));
  },
  silu: (tf, x) => tf.binary("Mul", x, tf.unary("Sigmoid", x)),
};

/** 0.5 * x * (1 + gate). */
function gated(tf: TensorFlow, x: Handle, gate: Handle): Handle {
  return tf.binary("Mul", tf.binary("Mul", x, tf.scalar(0.5)), tf.binary("AddV2", gate, tf.scalar(1)));
}

/** Over the last axis: [sides, rows, 1]. */
export function logSumExp(tf: TensorFlow, logits: Handle): Handle {
  const peaks = tf.reduce("Max", logits);
  const sums = tf.reduce("Sum", tf.unary("Exp", tf.binary("Sub", logits, peaks)));
  return tf.binary("AddV2", tf.unary("Log", sums), peaks);
}

/** The logit at a given column of each row: [sides * rows]. */
export function pickLogits(tf: TensorFlow, logits: Handle, columns: Int32Array): Handle {
  const [sides = 0, rows = 0, count = 0] = logits.shape;
  const flat = tf.reshape(logits, [sides * rows * count]);
  const index = Int32Array.from({ length: sides * rows }, (_, i) => i * count + (columns[i % rows] ?? 0));
  return tf.gather(flat, index, 0, types.float32);
}

/** log(exp(a) + exp(b)). */
export function addLogs(a: number, b: number): number {
  const peak = Math.max(a, b);
  return peak + Math.log(Math.exp(a - peak) + Math.exp(b - peak));
}
