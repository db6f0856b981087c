/** Datasets: rows of prompt and completion, checked when they come in. */
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { storeDataset, storeUpload } from "../../store-dataset.ts";
import type { Preparation } from "../../../dataset/prepare.ts";
import { builder, queryCost } from "../builder.ts";
import { DatasetRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";
import { preparationOf, PreparationInput } from "./preparation.ts";

DatasetRef.implement({
  description:
    'Checked rows as JSON Lines: text, {"prompt": "...", "completion": "..."}, conversations, {"messages": [{"role": "user", "content": "..."}, ...]}, or tokens, {"input_ids": [...], "labels": [...]}.',
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name that its author gave it; need not be unique." }),
    sha256: t.exposeString("sha256", { description: "SHA-256 of its bytes, 64 hex digits." }),
    bytes: t.expose("bytes", { type: "SafeInt", description: "Size, bytes." }),
    rows: t.exposeInt("rows", { description: "Number of rows." }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was stored." }),
  }),
});

builder.queryField("datasets", (t) =>
  t.connection(
    {
      type: DatasetRef,
      description: "The stored datasets, the newest first.",
      complexity: pageCost,
      resolve: (_root, args, { store }) => pageOf(args, (page) => store.datasets.list(page)),
    },
    { name: "DatasetConnection" },
    { name: "DatasetEdge" },
  ),
);

const CreateDatasetInput = builder.inputType("CreateDatasetInput", {
  description: "A new dataset: its rows inline, or an upload that is complete. Give exactly one of the two.",
  fields: (t) => ({
    name: t.string({
      required: true,
      description: `Name for people, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    jsonl: t.string({
      description:
        'The rows, one JSON object a line: {"prompt": "...", "completion": "..."}. At most ' +
        `${limits.inlineDatasetBytes} bytes; a larger dataset goes through an upload.`,
    }),
    uploadId: t.string({
      description:
        "An upload made with the tus protocol (resumable) at /uploads, complete: its URL, or the URL's last part. JSON Lines, or " +
        "parquet with a column for each field. At " +
        `most ${limits.datasetBytes} bytes. It is gone once this mutation answered.`,
    }),
    prepare: t.field({ type: PreparationInput, description: "What to make of the rows first; nothing when left out." }),
  }),
});

builder.mutationField("createDataset", (t) =>
  t.field({
    type: DatasetRef,
    description:
      `Checks and stores a dataset, of at most ${limits.datasetRows} rows. Wrong rows are DATASET_INVALID: issues name ` +
      "line and field, and nothing is stored.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateDatasetInput, required: true, description: "The dataset." }) },
    resolve: (_root, { input }, context) => {
      const preparation = input.prepare ? preparationOf(input.prepare) : null;
      const { name, uploadId, jsonl } = input;
      if (uploadId != null && jsonl == null) return storeUpload(context, name, uploadId, preparation);
      if (jsonl != null && uploadId == null) return storeInline(context, name, jsonl, preparation);
      throw new SteplogError("INVALID_ARGUMENT", "Give exactly one of `jsonl` and `uploadId`.", [
        { field: "input.jsonl", message: "exactly one of `jsonl` and `uploadId` is needed" },
      ]);
    },
  }),
);

function storeInline(
  context: Parameters<typeof storeDataset>[0],
  name: string,
  jsonl: string,
  preparation: Preparation | null,
) {
  const bytes = Buffer.from(jsonl);
  if (bytes.length > limits.inlineDatasetBytes) {
    const message = `has ${bytes.length} bytes; the most inline is ${limits.inlineDatasetBytes}. Upload it to /uploads`;
    throw new SteplogError("PAYLOAD_TOO_LARGE", `jsonl ${message}.`, [{ field: "input.jsonl", message }]);
  }
  const open = async function* open() {
    yield bytes;
  };
  return storeDataset(context, name, { open }, preparation);
}
