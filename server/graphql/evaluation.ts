/** Evaluations: measurements on the validation rows. */
import type { Evaluation } from "../../schema/tables.ts";
import { builder } from "./builder.ts";

export const EvaluationRef = builder.objectRef<Evaluation>("Evaluation").implement({
  description: "A measurement on the validation rows at one place of the log.",
  fields: (t) => ({
    step: t.exposeInt("step", { description: "Steps done when it was measured; 0 is the base model itself." }),
    rows: t.exposeInt("rows", { description: "Validation rows measured." }),
    loss: t.exposeFloat("loss", { description: "Mean loss over the scored tokens, nats." }),
    accuracy: t.exposeFloat("accuracy", {
      nullable: true,
      description: "Share of rows whose best label word is the right one, 0 to 1; null for a run without label words.",
    }),
    at: t.expose("at", { type: "DateTime", description: "When it was stored." }),
  }),
});
