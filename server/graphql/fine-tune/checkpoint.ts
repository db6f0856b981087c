/** Checkpoints: steps of a run from which its weights can be rebuilt. */
import { encodeGlobalID } from "@pothos/plugin-relay";
import type { weightsStatuses } from "../../../schema/states.ts";
import { stepLogBytes } from "../../../schema/step-log.ts";
import type { Checkpoint, FineTune, WeightsFile } from "../../../schema/tables.ts";
import type { Context } from "../../context.ts";
import { filesOf, singleFile } from "../../../schema/weights-files.ts";
import { builder, queryCost } from "../builder.ts";
import { CheckpointRef, FineTuneRef } from "../nodes.ts";

export const WeightsStatus = builder.enumType("WeightsStatus", {
  description: "Whether the weights of a checkpoint are stored.",
  values: {
    NONE: { description: "Not requested. They can be rebuilt from the log at any time." },
    QUEUED: { description: "Requested; a worker is going to rebuild them." },
    STORED: { description: "Ready for download." },
    FAILED: { description: "Could not be rebuilt; weightsError says why. Requesting them again retries." },
  } satisfies Record<(typeof weightsStatuses)[number], { description: string }>,
});

export const WeightsFileRef = builder.objectRef<WeightsFile & { readonly url: string }>("WeightsFile").implement({
  description: "A file of a checkpoint.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name of the file in the model folder." }),
    url: t.exposeString("url", { description: "Download link; supports range requests." }),
    bytes: t.expose("bytes", { type: "SafeInt", description: "Size in bytes." }),
    sha256: t.exposeString("sha256", { description: "SHA-256 of the file, 64 hex digits." }),
  }),
});

CheckpointRef.implement({
  description:
    "A step of a run whose model can be rebuilt. The base model and the log up to this step give its weights, bit for bit.",
  fields: (t) => ({
    fineTune: t.field({
      type: FineTuneRef,
      description: "The run that the checkpoint belongs to.",
      resolve: (checkpoint) => checkpoint.fineTuneId,
    }),
    entries: t.exposeInt("entries", { description: "Number of log entries up to this step." }),
    step: t.exposeInt("step", { description: "Number of steps done." }),
    chainHash: t.string({
      description: "Chain hash of these entries, 64 hex digits. Checkpoints with the same hash are the same model.",
      resolve: (checkpoint) => Buffer.from(checkpoint.chain).toString("hex"),
    }),
    weightsDigest: t.exposeString("weightsDigest", {
      description: "Digest of the trained tensors, 64 hex digits. A rebuild must give the same.",
    }),
    logUrl: t.string({
      description: "Download link of the log up to this step, a .steplog file.",
      resolve: (checkpoint, _args, { origin }) => `${origin}${checkpointPath(checkpoint)}/log.steplog`,
    }),
    logBytes: t.int({
      description: "Size of the .steplog file in bytes.",
      complexity: queryCost,
      resolve: logBytes,
    }),
    weightsStatus: t.expose("weightsStatus", { type: WeightsStatus, description: "Whether the weights are stored." }),
    weightsUrl: t.string({
      nullable: true,
      description:
        "Download link of the weights, a .safetensors file; null until they are stored, or if they are several files.",
      resolve: (checkpoint, _args, { origin }) =>
        singleFile(checkpoint) ? `${origin}${checkpointPath(checkpoint)}/weights.safetensors` : null,
    }),
    weightsFiles: t.field({
      type: [WeightsFileRef],
      description:
        "The stored files, empty until the weights are stored. Of a full model: the weights (above 5 GB: shards and an index), " +
        "config, tokenizer and licence, as transformers loads them. Of an adapter: the two files that peft loads.",
      resolve: (checkpoint, _args, { origin }) =>
        filesOf(checkpoint).map((file) => ({
          ...file,
          url: `${origin}${checkpointPath(checkpoint)}/weights/${file.name}`,
        })),
    }),
    weightsBytes: t.expose("weightsBytes", {
      type: "SafeInt",
      nullable: true,
      description: "Total size of weightsFiles in bytes; null until they are stored.",
    }),
    weightsExpireAt: t.expose("weightsExpiresAt", {
      type: "DateTime",
      nullable: true,
      description:
        "When the stored weights are deleted, unless they are asked for or downloaded before; null for as late as the checkpoint. " +
        "They can be asked for again.",
    }),
    weightsError: t.exposeString("weightsError", {
      nullable: true,
      description:
        "Why the weights could not be rebuilt or, while they are QUEUED, why the last attempt failed or what the worker waits for; null otherwise.",
    }),
    weightsWaitingReason: t.string({
      nullable: true,
      description:
        "Why no worker is rebuilding the weights while they are QUEUED, and what would serve them. Null while one does.",
      complexity: queryCost,
      resolve: ({ id, weightsStatus }, _args, { store }) =>
        weightsStatus === "QUEUED" ? store.checkpoints.waitingReason(id) : null,
    }),
    aliases: t.stringList({
      description: "Names of the aliases that point at it.",
      complexity: queryCost,
      resolve: async ({ id }, _args, { store }) => (await store.aliases.ofCheckpoints([id])).map(({ name }) => name),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When the checkpoint was made." }),
  }),
});

export function checkpointPath({ id }: Pick<Checkpoint, "id">): string {
  return `/checkpoints/${encodeURIComponent(encodeGlobalID("Checkpoint", id))}`;
}

async function logBytes(checkpoint: Checkpoint, _args: object, context: Context): Promise<number> {
  const fineTune = await FineTuneRef.getDataloader(context).load(checkpoint.fineTuneId);
  return logBytesOf(fineTune, checkpoint.entries, context);
}

/** Size of the .steplog file of a run's first entries. */
export async function logBytesOf(run: FineTune, entries: number, context: Context): Promise<number> {
  return stepLogBytes(run.logHeader?.length ?? 0, entries, await hasDecays(run, context));
}

/** A run without weight decay has decays in its log if it continues a run with weight decay. */
async function hasDecays(run: FineTune, context: Context): Promise<boolean> {
  if (run.hyperparameters.weightDecay > 0) return true;
  if (run.fromCheckpointId === null) {
    // It has a copy of its first entries, since the project of the run that it continued was erased.
    return run.firstEntry > 0 && ((await context.store.fineTunes.logParts(run.id, null))?.decayed ?? false);
  }
  const { fineTuneId } = await CheckpointRef.getDataloader(context).load(run.fromCheckpointId);
  return hasDecays(await FineTuneRef.getDataloader(context).load(fineTuneId), context);
}

builder.queryField("checkpoint", (t) =>
  t.field({
    type: CheckpointRef,
    nullable: true,
    description: "The checkpoint with this id; null if there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }) },
    resolve: (_root, { id }, { store }) => store.checkpoints.get(id.id),
  }),
);

builder.mutationField("deleteCheckpoint", (t) =>
  t.boolean({
    description:
      "Deletes a checkpoint of a run that has ended (INVALID_STATE before), with its weights and the completions and " +
      "evaluations of it, also those of projects with which it is shared. The run's log stays. One that a run continues " +
      "from, or an alias points at, is refused (CONFLICT names them), and one that evaluations or requests of other " +
      "projects still need (CONFLICT counts them). True if there was one: repeating it is safe.",
    complexity: 5 * queryCost,
    args: { id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }) },
    resolve: (_root, { id }, { store }) => store.checkpoints.delete(id.id),
  }),
);

builder.mutationField("deleteWeights", (t) =>
  t.field({
    type: CheckpointRef,
    description:
      "Deletes the stored weights of a checkpoint and its exports, and ends rebuilds of them. The checkpoint stays, and " +
      "materialiseCheckpoint rebuilds them. Repeating it changes nothing.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }) },
    resolve: (_root, { id }, { store }) => store.checkpoints.deleteWeights(id.id),
  }),
);
