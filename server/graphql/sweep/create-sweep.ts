/** Creating a sweep, and knowing beforehand what it takes. */
import { invariant } from "../../../schema/errors.ts";
import type { Sweep } from "../../../schema/sweep-tables.ts";
import { builder, queryCost } from "../builder.ts";
import { collecting } from "../fine-tune/estimate.ts";
import { RefusalRef, type Refusal } from "../fine-tune/estimate-types.ts";
import { stopAtFirst } from "../fine-tune/read-run.ts";
import { SweepRef } from "../nodes.ts";
import { CreateSweepInput } from "./inputs.ts";
import { checkRowsOfSweep, newSweep, passesOfSweep, readSweep } from "./read-sweep.ts";

interface Created {
  readonly sweep: Sweep;
  readonly created: boolean;
}

const CreateSweepPayload = builder.objectRef<Created>("CreateSweepPayload").implement({
  description: "A sweep that was created, now or by an earlier request with the same idempotency key.",
  fields: (t) => ({
    sweep: t.field({ type: SweepRef, description: "The sweep.", resolve: ({ sweep }) => sweep }),
    created: t.exposeBoolean("created", {
      description: "False if an earlier request with the same idempotency key created the sweep.",
    }),
  }),
});

builder.mutationField("createSweep", (t) =>
  t.field({
    type: CreateSweepPayload,
    description:
      "Queues the runs of a sweep: all of them, or none if one is refused, for what createFineTune refuses. Quotas count " +
      "all of its steps. Safe to repeat with an idempotency key.",
    complexity: 10 * queryCost,
    args: { input: t.arg({ type: CreateSweepInput, required: true, description: "The sweep." }) },
    resolve: async (_root, { input }, context) => {
      const { store } = context;
      const sweep = await readSweep(context, input, stopAtFirst);
      invariant(sweep.runs.length === sweep.wanted, "the first refusal ends it");
      // A repeated request finds its sweep, whose rows were checked.
      const repeated = input.idempotencyKey != null && (await store.sweeps.hasKey(input.idempotencyKey));
      const notes = repeated ? [] : await checkRowsOfSweep(context, sweep, stopAtFirst);
      return store.sweeps.create(newSweep(input, sweep, notes));
    },
  }),
);

interface Estimate {
  readonly runs: number;
  readonly steps: number;
  readonly passes: number;
  readonly refusals: readonly Refusal[];
}

const SweepEstimateRef = builder.objectRef<Estimate>("SweepEstimate").implement({
  description: "What a sweep would take.",
  fields: (t) => ({
    runs: t.exposeInt("runs", { description: "How many runs it would have." }),
    steps: t.expose("steps", { type: "SafeInt", description: "Steps of all runs that are not refused." }),
    passes: t.expose("passes", {
      type: "SafeInt",
      description:
        "Forward passes of these steps, of one side of the weights: a two-sided estimate has two. Evaluations, and the tokens " +
        "of answers that are generated, come on top.",
    }),
    errors: t.field({
      type: [RefusalRef],
      description: "All errors for which createSweep would refuse it.",
      resolve: ({ refusals }) => refusals,
    }),
  }),
});

builder.queryField("estimateSweep", (t) =>
  t.field({
    type: SweepEstimateRef,
    description:
      "How many runs and forward passes a sweep would have, and why createSweep would refuse it. Creates nothing.",
    complexity: 10 * queryCost,
    args: { input: t.arg({ type: CreateSweepInput, required: true, description: "The sweep." }) },
    resolve: async (_root, { input }, context): Promise<Estimate> => {
      const { attempt, refusals } = collecting();
      const sweep = await readSweep(context, input, attempt);
      await checkRowsOfSweep(context, sweep, attempt);
      const steps = sweep.runs.reduce((sum, { run }) => sum + run.hyperparameters.steps, 0);
      return { runs: sweep.wanted, steps, passes: passesOfSweep(sweep.runs), refusals: different(refusals) };
    },
  }),
);

/** What is wrong with what runs share is wrong with each of them. */
function different(refusals: readonly Refusal[]): Refusal[] {
  return [...new Map(refusals.map((one) => [one.message.replace(/^Run \d+ \([^)]*\): /u, ""), one])).values()];
}
