/** SPSA (Spall 1992; MeZO, definition 1): (L+ - L-) / 2 epsilon. Two forward passes an estimate; its error is of second order. */
import type { Estimate, Estimator } from "./estimator.ts";

export const spsa: Estimator = {
  async estimate(losses, seeds) {
    const estimates: Estimate[] = [];
    for (const seed of seeds) {
      const [plus, minus] = await losses.bothSides(seed);
      estimates.push({
        loss: (plus + minus) / 2,
        projectedGradient: (plus - minus) / (2 * losses.epsilon),
        measured: `loss ${plus} on the plus side, ${minus} on the minus side`,
      });
    }
    return estimates;
  },
  scale: () => 1,
  normalises: false,
};
