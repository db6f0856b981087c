/**
 * FZOO (arXiv 2506.09034, algorithm 1): one-sided estimates, divided by their standard deviation, which is the standard
 * deviation of the losses over epsilon. It needs two estimates a step or more (schema/hyperparameters.ts checks that).
 */
import { mean } from "../../numbers/mean.ts";
import type { Estimator } from "./estimator.ts";
import { oneSided } from "./one-sided.ts";

export const fzoo: Estimator = {
  ...oneSided,
  scale(gradients) {
    const middle = mean(gradients);
    const squares = gradients.reduce((sum, gradient) => sum + (gradient - middle) ** 2, 0);
    // Equal gradients say nothing about the noise: dividing by infinity leaves them out.
    return squares === 0 ? Infinity : Math.sqrt(squares / (gradients.length - 1));
  },
  normalises: true,
};
