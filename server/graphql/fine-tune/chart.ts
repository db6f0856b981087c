/** Points of the loss chart: steps, merged by the server. */
import type { ChartPoint } from "../../../store/store.ts";
import { builder } from "../builder.ts";

export const ChartPointRef = builder.objectRef<ChartPoint>("ChartPoint").implement({
  description: "Consecutive steps merged into one point of a chart.",
  fields: (t) => ({
    step: t.exposeInt("step", { description: "The last of the merged steps." }),
    loss: t.exposeFloat("loss", {
      nullable: true,
      description: "Mean of the steps' losses, in the unit of Step.loss; null if none was finite.",
    }),
    lossMin: t.exposeFloat("lossMin", {
      nullable: true,
      description: "Lowest loss of these steps; null if none was finite.",
    }),
    lossMax: t.exposeFloat("lossMax", {
      nullable: true,
      description: "Highest loss of these steps; null if none was finite.",
    }),
    projectedGradient: t.exposeFloat("projectedGradient", {
      nullable: true,
      description: "Root mean square of the steps' projected gradients, in nats; null if none was finite.",
    }),
    learningRate: t.exposeFloat("learningRate", { description: "Learning rate of the last of these steps." }),
    seconds: t.exposeFloat("seconds", { description: "Mean duration of a step on the worker, in seconds." }),
    count: t.exposeInt("count", { description: "Number of merged steps." }),
  }),
});
