/** Evaluations: measurements on the validation rows. */
import type { Evaluation } from "../../../schema/tables.ts";
import { isBetter } from "../../../schema/judged.ts";
import type { BestMetric } from "../../../schema/hyperparameters.ts";
import type { EvaluationKind } from "../../../schema/states.ts";
import { builder } from "../builder.ts";

export const EvaluationKindRef = builder.enumType("EvaluationKind", {
  description: "What an evaluation measures.",
  values: {
    VALIDATION: { description: "The validation rows." },
    TEST: { description: "The test rows: with the base model, and at the best place of the run." },
    IN_CONTEXT: {
      description: "The validation rows with training rows in front of their prompts, by the base model: a baseline.",
    },
    LINEAR_PROBE: {
      description:
        "The validation rows by a linear classifier on the base model's hidden states: a baseline. Its loss is over the classes.",
    },
  } satisfies Record<EvaluationKind, { description: string }>,
});

export const EvaluationRef = builder.objectRef<Evaluation>("Evaluation").implement({
  description: "A measurement on rows that are not learned from, at one place of the log.",
  fields: (t) => ({
    kind: t.expose("kind", { type: EvaluationKindRef, description: "What is measured." }),
    step: t.exposeInt("step", { description: "Steps done when it was measured; 0 is the base model itself." }),
    rows: t.exposeInt("rows", { description: "Rows measured." }),
    loss: t.exposeFloat("loss", { description: "Mean loss over the scored tokens, nats." }),
    accuracy: t.exposeFloat("accuracy", {
      nullable: true,
      description:
        "Share of rows whose best candidate is the right one, 0 to 1; null without label words or candidates.",
    }),
    f1: t.exposeFloat("f1", {
      nullable: true,
      description: "Mean F1 of the answers that the model writes, 0 to 1; null for a run without answerTokens.",
    }),
    exactMatch: t.exposeFloat("exactMatch", {
      nullable: true,
      description: "Share of these answers that are an accepted one; null for a run without answerTokens.",
    }),
    at: t.expose("at", { type: "DateTime", description: "When it was stored." }),
  }),
});

/** By the rule that a worker stops early by. */
export function bestOf(evaluations: readonly Evaluation[], metric: BestMetric): Evaluation | null {
  return evaluations
    .filter(({ kind }) => kind === "VALIDATION")
    .reduce<Evaluation | null>((best, next) => (best === null || isBetter(next, best, metric) ? next : best), null);
}
