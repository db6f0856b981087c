/** A new sweep, as clients describe it: what its runs share, and what varies. */
import { z } from "zod";
import { hyperparameterEntries } from "../../../schema/hyperparameter-table.ts";
import { limits } from "../../../schema/limits.ts";
import { builder } from "../builder.ts";
import { CreateFineTuneInput } from "../fine-tune/create-fine-tune-input.ts";
import { HyperparametersInput, typeOf } from "../fine-tune/hyperparameters.ts";

const SweepGridInput = builder.inputType("SweepGridInput", {
  description: "Several values of some settings. A sweep has a run for each combination of them.",
  fields: (t) =>
    Object.fromEntries(
      hyperparameterEntries.map(([name, one]) => {
        const type = typeOf(name, one);
        const values = Array.isArray(type) ? t.listRef(t.listRef("String")) : t.listRef(type);
        return [
          name,
          t.field({
            type: values,
            description: `Values of the setting ${name}.`,
            validate: z.array(z.any()).min(1).nullish(),
          }),
        ];
      }),
    ),
});

const SweepVariationInput = builder.inputType("SweepVariationInput", {
  description: "What varies between the runs of a sweep.",
  isOneOf: true,
  fields: (t) => ({
    grid: t.field({ type: SweepGridInput, description: "All combinations of these values." }),
    list: t.field({
      type: [HyperparametersInput],
      description: `The settings of each run, where they are not those of \`run\`; 1 to ${limits.sweepRuns} of them.`,
    }),
  }),
});

export const CreateSweepInput = builder.inputType("CreateSweepInput", {
  description: "A new sweep: runs with the same model and rows, and other settings.",
  fields: (t) => ({
    idempotencyKey: t.string({
      description:
        `A key you choose for this request, 1 to ${limits.idempotencyKeyLength} characters. A second request with the same ` +
        "key and input returns the first sweep; one with a different input is a CONFLICT.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
    name: t.string({
      required: true,
      description: `Name of the sweep, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    run: t.field({
      type: CreateFineTuneInput,
      required: true,
      description:
        "What the runs share. Each is called by the name here and by the settings in which it differs. It has no idempotency key.",
    }),
    vary: t.field({
      type: SweepVariationInput,
      required: true,
      description: `The settings that vary, for ${limits.sweepRuns} runs at most.`,
    }),
  }),
});

export type NewSweepInput = typeof CreateSweepInput.$inferInput;
