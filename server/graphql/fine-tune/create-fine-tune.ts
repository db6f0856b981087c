/** Creating a fine-tune: everything that can be checked is checked before anything is stored. */
import { invariant } from "../../../schema/errors.ts";
import { builder, queryCost } from "../builder.ts";
import { CreateFineTuneInput } from "./create-fine-tune-input.ts";
import { CreateFineTunePayload } from "./create-fine-tune-payload.ts";
import { checkAllRows, isComplete, newFineTune, readRun, stopAtFirst } from "./read-run.ts";

builder.mutationField("createFineTune", (t) =>
  t.field({
    type: CreateFineTunePayload,
    description:
      "Queues a run. Rows that do not fit the base model are refused at once (DATASET_INVALID, with line numbers). Safe to " +
      "repeat with an idempotency key.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateFineTuneInput, required: true, description: "The run." }) },
    resolve: async (_root, { input }, context) => {
      const { store } = context;
      const run = await readRun(store, input, stopAtFirst);
      invariant(isComplete(run), "the first refusal ends it");
      // A repeated request finds its run, whose rows were checked.
      const repeated = input.idempotencyKey != null && (await store.fineTunes.hasKey(input.idempotencyKey));
      const notes = repeated ? [] : await checkAllRows(context, run, stopAtFirst);
      return store.fineTunes.create({ ...newFineTune(input, run), notes });
    },
  }),
);
