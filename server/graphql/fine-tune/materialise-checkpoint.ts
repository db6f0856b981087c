/** Weights of a checkpoint on request: as they were trained, or in another form. */
import { z } from "zod";
import { longestTtl } from "../../../schema/expiry.ts";
import type { CheckpointExport } from "../../../schema/export-tables.ts";
import type { OutputDtype } from "../../../schema/output-dtype.ts";
import { formName, isPlain } from "../../../schema/weights-form.ts";
import { formOfRow } from "../../../store/store.ts";
import { builder, queryCost } from "../builder.ts";
import { requireCheckpoint } from "../lookup.ts";
import { CheckpointRef } from "../nodes.ts";
import { WeightsFileRef, WeightsStatus, checkpointPath } from "./checkpoint.ts";

const WeightsDtype = builder.enumType("WeightsDtype", {
  description: "A number format of stored weights.",
  values: {
    FLOAT32: { value: "float32", description: "IEEE 754 binary32." },
    BFLOAT16: { value: "bfloat16", description: "The upper half of a float32." },
    FLOAT16: { value: "float16", description: "IEEE 754 binary16; 65504 at most." },
  } satisfies Record<string, { value: OutputDtype; description: string }>,
});

const CheckpointExportRef = builder.objectRef<CheckpointExport>("CheckpointExport").implement({
  description: "The weights of a checkpoint in a form that materialiseCheckpoint was asked for.",
  fields: (t) => ({
    merged: t.exposeBoolean("merged", { description: "Whether the LoRA adapter is merged into its base." }),
    dtype: t.field({
      type: WeightsDtype,
      nullable: true,
      description: "Number format of all tensors; null for those of training, and of the base.",
      resolve: (one) => formOfRow(one).dtype,
    }),
    status: t.expose("status", { type: WeightsStatus, description: "Whether the files are stored; never NONE." }),
    files: t.field({
      type: [WeightsFileRef],
      description: "The stored files, empty until they are: what transformers loads or, of an adapter, peft.",
      resolve: (one, _args, { origin }) =>
        (one.files ?? []).map((file) => ({ ...file, url: `${origin}${exportPath(one)}/${file.name}` })),
    }),
    bytes: t.field({
      type: "SafeInt",
      nullable: true,
      description: "Total size of the files in bytes; null until they are stored.",
      resolve: ({ files }) => files?.reduce((sum, { bytes }) => sum + bytes, 0) ?? null,
    }),
    error: t.exposeString("error", {
      nullable: true,
      description:
        "Why the files could not be made or, while they are QUEUED, why the last attempt failed or what the worker waits for.",
    }),
    waitingReason: t.string({
      nullable: true,
      description: "Why no worker is making the files while they are QUEUED, and what would serve them.",
      complexity: queryCost,
      resolve: (one, _args, { store }) => (one.status === "QUEUED" ? store.exports.waitingReason(one) : null),
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When the form was first asked for." }),
    expiresAt: t.expose("expiresAt", {
      type: "DateTime",
      nullable: true,
      description:
        "When the files are deleted, unless they are asked for or downloaded before; null for as late as the checkpoint. They can " +
        "be asked for again.",
    }),
  }),
});

function exportPath(one: CheckpointExport): string {
  return `${checkpointPath({ id: one.checkpointId })}/exports/${formName(formOfRow(one))}`;
}

builder.objectField(CheckpointRef, "exports", (t) =>
  t.field({
    type: [CheckpointExportRef],
    description: "The forms of its weights that materialiseCheckpoint was asked for with `merged` or `dtype`.",
    complexity: queryCost,
    resolve: ({ id }, _args, { store }) => store.exports.list(id),
  }),
);

builder.mutationField("materialiseCheckpoint", (t) =>
  t.field({
    type: CheckpointRef,
    description:
      "Asks a worker to rebuild the weights of a checkpoint from the log, for download. They end when nobody has asked for them or " +
      "downloaded them for a while. Without `merged` and `dtype` they " +
      "come as they were trained, in weightsFiles; with one of them, in `exports`. Repeating it while the rebuild runs, or " +
      "after it succeeded, only keeps them for longer; after a failure it tries again.",
    complexity: queryCost,
    args: {
      id: t.arg.globalID({ for: CheckpointRef, required: true, description: "Id of a checkpoint." }),
      merged: t.arg.boolean({
        description: "Whether to add a LoRA adapter into the weights of its base, for loaders that know no adapters.",
      }),
      dtype: t.arg({
        type: WeightsDtype,
        description:
          "Number format of all tensors. Values are rounded to the nearest, ties to even; one that is too large fails the " +
          "rebuild. weightsDigest stays that of the weights as they were trained.",
      }),
      keepSeconds: t.arg.float({
        description:
          "How long the files stay after they were last asked for or downloaded, in seconds; 0 keeps them as long as the " +
          "checkpoint. Left out, as setProjectKeep or the operator says.",
        validate: z.number().min(0).max(longestTtl).nullish(),
      }),
    },
    resolve: async (_root, { id, merged, dtype, keepSeconds }, { store, keepExportsSeconds }) => {
      const checkpoint = await requireCheckpoint(store, id.id, "id");
      const form = { merged: merged ?? false, dtype: dtype ?? null };
      const keep = { keepSeconds: keepSeconds ?? null, usualSeconds: keepExportsSeconds };
      if (isPlain(form)) return store.checkpoints.requestWeights(id.id, keep);
      await store.exports.request(id.id, form, keep);
      return checkpoint;
    },
  }),
);
