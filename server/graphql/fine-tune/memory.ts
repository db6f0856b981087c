/** Memory of a run's worker, and what to compare it with. */
import { invariant } from "../../../schema/errors.ts";
import type { RunMemory } from "../../../schema/memory-tables.ts";
import type { MemoryKind } from "../../../schema/states.ts";
import type { FineTune } from "../../../schema/tables.ts";
import { weightsInMemory } from "../../../schema/weights-memory.ts";
import { builder } from "../builder.ts";

const MemoryKindRef = builder.enumType("MemoryKind", {
  description: "What a run did when its memory was read.",
  values: {
    FORWARD_PASSES: {
      description:
        "Its first evaluation, before any step: forward passes alone, as for inference. With learningRate AUTO the rate was chosen " +
        "before it, and what that took may still be held.",
    },
    STEPS: { description: "Steps, with the evaluations and checkpoints between them." },
  } satisfies Record<MemoryKind, { description: string }>,
});

const MemoryReadingRef = builder.objectRef<RunMemory>("MemoryReading").implement({
  description:
    "Resident memory of the worker's process, as its system counts it: weights, activations, the program, and whatever else the " +
    "worker holds, such as models that it answers requests with. Memory of a GPU is not in it.",
  fields: (t) => ({
    kind: t.expose("kind", { type: MemoryKindRef, description: "What the run did." }),
    step: t.exposeInt("step", { description: "Steps done when it was read." }),
    residentBytes: t.expose("residentBytes", { type: "SafeInt", description: "Bytes when it was read." }),
    peakBytes: t.expose("peakBytes", {
      type: "SafeInt",
      nullable: true,
      description:
        "The most bytes since the reading before; null where the worker's system does not tell (it is not Linux).",
    }),
    at: t.expose("at", { type: "DateTime", description: "When it was stored." }),
  }),
});

interface MemoryOfRun {
  readonly run: FineTune;
  readonly readings: readonly RunMemory[];
}

export const RunMemoryRef = builder.objectRef<MemoryOfRun>("RunMemory").implement({
  description: "The memory of a run.",
  fields: (t) => ({
    weightsBytes: t.field({
      type: "SafeInt",
      description: "Bytes of the base model's weights as workers hold them: a forward pass needs more than that.",
      resolve: async ({ run }, _args, { store }) => {
        const [model] = await store.baseModels.byIds([run.baseModelId]);
        invariant(model, `fine-tune ${run.id} has its base model`);
        return weightsInMemory(model);
      },
    }),
    readings: t.field({
      type: [MemoryReadingRef],
      description:
        "Readings in order of steps: one of forward passes if the run has validation rows, then one of steps every 15 seconds or " +
        "so (less often in a long run), and one after the last step. Empty before the first, and for runs that an earlier release trained.",
      resolve: ({ readings }) => [...readings],
    }),
  }),
});
