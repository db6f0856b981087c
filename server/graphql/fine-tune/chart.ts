/** Points of the loss chart: steps merged on the server. */
import type { ChartPoint } from "../../../store/store.ts";
import { builder } from "../builder.ts";

export const ChartPointRef = builder.objectRef<ChartPoint>("ChartPoint").implement({
  description: "Consecutive steps merged into one point of a chart.",
  fields: (t) => ({
    step: t.exposeInt("step", { description: "The last step of the point." }),
    loss: t.exposeFloat("loss", {
      nullable: true,
      description: "Mean loss, nats per scored token; null when no step's was finite.",
    }),
    lossMin: t.exposeFloat("lossMin", { nullable: true, description: "Lowest loss of a step." }),
    lossMax: t.exposeFloat("lossMax", { nullable: true, description: "Highest loss of a step." }),
    count: t.exposeInt("count", { description: "Number of steps merged." }),
  }),
});
