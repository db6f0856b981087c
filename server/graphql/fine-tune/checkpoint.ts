/** Checkpoints: places in a log, each as good as the weights it stands for. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import type { weightsStatuses } from "../../../schema/states.ts";
import { stepLogBytes } from "../../../schema/step-log.ts";
import type { Checkpoint, FineTune, WeightsFile } from "../../../schema/tables.ts";
import type { Context } from "../../context.ts";
import { filesOf, singleFile } from "../../weights-files.ts";
import { builder, queryCost } from "../builder.ts";
import { requireCheckpoint } from "../lookup.ts";
import { CheckpointRef, FineTuneRef } from "../nodes.ts";

const WeightsStatus = builder.enumType("WeightsStatus", {
  description: "How far the weights of a checkpoint are.",
  values: {
    NONE: { description: "Not asked for. The log is enough to rebuild them at any time." },
    QUEUED: { description: "Asked for; a worker rebuilds them." },
    STORED: { description: "Ready for download." },
    FAILED: { description: "Could not be rebuilt; weightsError says why. Asking again tries again." },
  } satisfies Record<(typeof weightsStatuses)[number], { description: string }>,
});

const WeightsFileRef = builder.objectRef<WeightsFile & { readonly url: string }>("WeightsFile").implement({
  description: "A file of a checkpoint's weights.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Its name in a model folder." }),
    url: t.exposeString("url", { description: "Where to get it, with ranges." }),
    bytes: t.expose("bytes", { type: "SafeInt", description: "Size, bytes." }),
    sha256: t.exposeString("sha256", { description: "SHA-256 of its bytes, 64 hex digits." }),
  }),
});

CheckpointRef.implement({
  description:
    "A place in the log of a run. With the base model, the log up to here is the fine-tuned model, bit for bit.",
  fields: (t) => ({
    fineTune: t.field({
      type: FineTuneRef,
      description: "The run whose log this is a place in.",
      resolve: (checkpoint) => checkpoint.fineTuneId,
    }),
    entries: t.exposeInt("entries", { description: "Log entries up to here." }),
    step: t.exposeInt("step", { description: "Steps done here." }),
    chainHash: t.string({
      description: "Chain hash after these entries, 64 hex digits. Two checkpoints of one hash are one model.",
      resolve: (checkpoint) => Buffer.from(checkpoint.chain).toString("hex"),
    }),
    weightsDigest: t.exposeString("weightsDigest", {
      description:
        "Digest of the fine-tuned tensors as they were trained, 64 hex digits: a rebuild must give the same.",
    }),
    logUrl: t.string({
      description: "Where to get the log up to here, a .steplog file.",
      resolve: (checkpoint, _args, { origin }) => `${origin}${checkpointPath(checkpoint)}/log.steplog`,
    }),
    logBytes: t.int({
      description: "Size of that file, bytes.",
      complexity: queryCost,
      resolve: logBytes,
    }),
    weightsStatus: t.expose("weightsStatus", { type: WeightsStatus, description: "How far the weights are." }),
    weightsUrl: t.string({
      nullable: true,
      description:
        "Where to get the weights, a .safetensors file; null until they are stored, and when they are several files.",
      resolve: (checkpoint, _args, { origin }) =>
        singleFile(checkpoint) ? `${origin}${checkpointPath(checkpoint)}/weights.safetensors` : null,
    }),
    weightsFiles: t.field({
      type: [WeightsFileRef],
      description:
        "The files of the folder that transformers loads: the weights, one file, or, above 5 GB, shards and their index, with " +
        "the base model's config, tokenizer and licence; or of an adapter, the two files that peft loads. None until they are stored.",
      resolve: (checkpoint, _args, { origin }) =>
        filesOf(checkpoint).map((file) => ({
          ...file,
          url: `${origin}${checkpointPath(checkpoint)}/weights/${file.name}`,
        })),
    }),
    weightsBytes: t.expose("weightsBytes", {
      type: "SafeInt",
      nullable: true,
      description: "Size of these files together, bytes; null until they are stored.",
    }),
    weightsError: t.exposeString("weightsError", {
      nullable: true,
      description: "Why the weights could not be rebuilt; null otherwise.",
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was named." }),
  }),
});

function checkpointPath(checkpoint: Checkpoint): string {
  return `/checkpoints/${encodeURIComponent(encodeGlobalID("Checkpoint", checkpoint.id))}`;
}

async function logBytes(checkpoint: Checkpoint, _args: object, context: Context): Promise<number> {
  const fineTune = await FineTuneRef.getDataloader(context).load(checkpoint.fineTuneId);
  const header = fineTune.logHeader?.length ?? 0;
  return stepLogBytes(header, checkpoint.entries, await hasDecays(fineTune, context));
}

/** A run without weight decay has them where it goes on from one with. */
async function hasDecays(run: FineTune, context: Context): Promise<boolean> {
  if (run.hyperparameters.weightDecay > 0) return true;
  if (run.fromCheckpointId === null) return false;
  const { fineTuneId } = await CheckpointRef.getDataloader(context).load(run.fromCheckpointId);
  return hasDecays(await FineTuneRef.getDataloader(context).load(fineTuneId), context);
}

builder.queryField("checkpoint", (t) =>
  t.field({
    type: CheckpointRef,
    nullable: true,
    description: "The checkpoint of this id; null when there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }) },
    resolve: (_root, { id }, { store }) => store.checkpoints.get(id.id),
  }),
);

builder.mutationField("materialiseCheckpoint", (t) =>
  t.field({
    type: CheckpointRef,
    description:
      "Has a worker rebuild the weights of a checkpoint from the log, for download. Asking again while it is under " +
      "way, or done, changes nothing.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }) },
    resolve: async (_root, { id }, { store }) => {
      await requireCheckpoint(store, id.id, "id");
      return store.checkpoints.requestWeights(id.id);
    },
  }),
);
