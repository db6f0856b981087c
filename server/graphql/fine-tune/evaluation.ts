/** Evaluations: measurements on rows that are not trained on. */
import type { Evaluation } from "../../../schema/tables.ts";
import type { EvaluationKind } from "../../../schema/states.ts";
import { builder } from "../builder.ts";
import { finiteOrNull } from "../finite.ts";

export const EvaluationKindRef = builder.enumType("EvaluationKind", {
  description: "What an evaluation measures.",
  values: {
    VALIDATION: { description: "The validation rows." },
    TEST: { description: "The test rows, with the base model and with the best checkpoint of the run." },
    IN_CONTEXT: {
      description:
        "Baseline: the base model on the validation rows, with training rows as demonstrations before each prompt.",
    },
    LINEAR_PROBE: {
      description:
        "Baseline: a linear classifier on the base model's hidden states, on the validation rows. Its loss is over the classes.",
    },
  } satisfies Record<EvaluationKind, { description: string }>,
});

export const EvaluationRef = builder.objectRef<Evaluation>("Evaluation").implement({
  description: "A measurement after some step, on rows that are not trained on.",
  fields: (t) => ({
    kind: t.expose("kind", { type: EvaluationKindRef, description: "What is measured." }),
    step: t.exposeInt("step", { description: "Steps done when it was measured; 0 is before the first step." }),
    rows: t.exposeInt("rows", { description: "Number of rows measured." }),
    loss: t.float({
      nullable: true,
      description: "Mean loss in nats per scored token. Null if it was not finite: the run had diverged.",
      resolve: ({ loss }) => finiteOrNull(loss),
    }),
    diverged: t.boolean({
      description: "Whether the loss was not finite. Such an evaluation is never the best one while there is another.",
      resolve: ({ loss }) => !Number.isFinite(loss),
    }),
    accuracy: t.float({
      nullable: true,
      description: "Share of rows whose correct candidate scores best, 0 to 1; null without label words or candidates.",
      resolve: ({ accuracy }) => finiteOrNull(accuracy),
    }),
    f1: t.float({
      nullable: true,
      description: "Mean F1 of the generated answers, 0 to 1; null if the run generates none (answerTokens is 0).",
      resolve: ({ f1 }) => finiteOrNull(f1),
    }),
    exactMatch: t.float({
      nullable: true,
      description: "Share of generated answers that equal an accepted one, 0 to 1; null if the run generates none.",
      resolve: ({ exactMatch }) => finiteOrNull(exactMatch),
    }),
    at: t.expose("at", { type: "DateTime", description: "When it was stored." }),
  }),
});
