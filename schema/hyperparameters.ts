/**
 * The settings of one fine-tune: ranges, defaults and units in one place. The API, the command line and the worker
 * all read this schema.
 */
import { z } from "zod";
import { limits } from "./limits.ts";

export const noiseKinds = ["NORMAL", "RADEMACHER"] as const;
export type NoiseKind = (typeof noiseKinds)[number];

export const precisions = ["FLOAT32", "BFLOAT16"] as const;
export type PrecisionKind = (typeof precisions)[number];

export const hyperparametersSchema = z.strictObject({
  /** SPSA steps; each measures the loss twice and logs one pair. */
  steps: z.int().min(1).max(limits.steps).default(1_000),
  /** Rows measured in one step. */
  batchSize: z.int().min(1).max(limits.batchSize).default(16),
  /** Factor of the projected gradient (MeZO, Algorithm 1). The default is the paper's for full-parameter tuning. */
  learningRate: z.number().positive().max(10).default(1e-6),
  /** Size of the perturbation, in units of the noise's standard deviation. */
  epsilon: z.number().min(1e-6).max(1).default(1e-3),
  /** Decoupled weight decay: each step multiplies trained weights by 1 - learningRate * weightDecay. */
  weightDecay: z.number().min(0).max(100).default(0),
  noise: z.enum(noiseKinds).default("RADEMACHER"),
  /** Number format that products are multiplied in; sums are float32 in any case, and stored weights keep their own. */
  precision: z.enum(precisions).default("FLOAT32"),
  /** Run seed: seeds of the noise and the order of the rows derive from it. Unsigned 32 bits. */
  seed: z.int().min(0).max(0xffff_ffff).default(0),
  /** Steps between two measurements of the validation metric; 0 measures before and after only. */
  evaluateEvery: z.int().min(0).max(limits.steps).default(0),
  /** Steps between two named checkpoints; 0 names the last one only. Every step can be rebuilt in any case. */
  checkpointEvery: z.int().min(0).max(limits.steps).default(0),
});

export type Hyperparameters = z.output<typeof hyperparametersSchema>;
export type HyperparametersInput = z.input<typeof hyperparametersSchema>;
