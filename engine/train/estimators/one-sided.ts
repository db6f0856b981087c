/**
 * (L+ - L) / epsilon, where all estimates of a step share L: one forward pass an estimate, and one more a step. Its error
 * is half the curvature along the noise times epsilon.
 */
import type { Estimate, Estimator } from "./estimator.ts";

export const oneSided: Estimator = {
  async estimate(losses, seeds) {
    const loss = await losses.atWeights();
    const estimates: Estimate[] = [];
    for (const seed of seeds) {
      const plus = await losses.plusSide(seed);
      const measured = `loss ${plus} on the plus side, ${loss} without noise`;
      estimates.push({ loss, projectedGradient: (plus - loss) / losses.epsilon, measured });
    }
    return estimates;
  },
  scale: () => 1,
  normalises: false,
};
