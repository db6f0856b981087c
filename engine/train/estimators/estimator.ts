/** How the gradient along random noise is estimated from losses. */

/** Mean losses of a batch L, at the stored weights theta and along the noise z of a seed. */
export interface BatchLosses {
  /** L(theta) */
  atWeights(): Promise<number>;
  /** L(theta + epsilon z) */
  plusSide(seed: bigint): Promise<number>;
  /** L(theta + epsilon z) and L(theta - epsilon z), from one pass. */
  bothSides(seed: bigint): Promise<readonly [number, number]>;
  /** As it is after rounding (numbers/scalar.ts). */
  readonly epsilon: number;
}

export interface Estimate {
  /** The loss that is reported for the step. */
  readonly loss: number;
  /** Slope of the loss along the noise: z . gradient, but for the error of the estimator. */
  readonly projectedGradient: number;
  /** The measured losses in words, for messages. */
  readonly measured: string;
}

export interface Estimator {
  /** One estimate for each seed, all at the same weights. */
  estimate(losses: BatchLosses, seeds: readonly bigint[]): Promise<Estimate[]>;
  /** What the projected gradients of a step are divided by before they are applied. */
  scale(gradients: readonly number[]): number;
  /** Whether `scale` gives the gradients a root mean square of about 1, whatever the losses. */
  readonly normalises: boolean;
}
