/** Datasets: rows of prompt and completion, checked before they are stored. */
import { Readable } from "node:stream";
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import type { Page } from "../../../store/store.ts";
import { storeStream, storeUpload } from "../../store-dataset.ts";
import { builder, queryCost } from "../builder.ts";
import { ExpiryInput, expiryOfInput, expiryText } from "../expiry.ts";
import { DatasetRef } from "../nodes.ts";
import { pageCost, pageOf } from "../page.ts";
import { preparationOf, PreparationInput } from "./preparation.ts";

DatasetRef.implement({
  description:
    "Rows to train or evaluate on, checked and stored as JSON Lines. A row is text " +
    '{"prompt": "...", "completion": "..."}, a conversation {"messages": [{"role": "user", "content": "..."}, ...]}, ' +
    'or tokens {"input_ids": [...], "labels": [...]}.',
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name given by its author; need not be unique." }),
    sha256: t.exposeString("sha256", { description: "SHA-256 of the stored file, 64 hex digits." }),
    bytes: t.expose("bytes", { type: "SafeInt", description: "Size of the stored file in bytes." }),
    rows: t.exposeInt("rows", { description: "Number of rows." }),
    url: t.string({
      description: "Download link of its rows, JSON Lines; supports range requests.",
      resolve: ({ id }, _args, { origin }) =>
        `${origin}/datasets/${encodeURIComponent(encodeGlobalID("Dataset", id))}/rows.jsonl`,
    }),
    createdAt: t.expose("createdAt", { type: "DateTime", description: "When it was stored." }),
    deletedAt: t.expose("deletedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it was deleted: its rows are gone, and runs and evaluations still name it; null for others.",
    }),
  }),
});

builder.queryField("datasets", (t) =>
  t.connection(
    {
      type: DatasetRef,
      description: "The stored datasets, newest first.",
      complexity: pageCost,
      args: {
        name: t.arg.string({
          description: "Return datasets whose name contains this, in upper or lower case.",
          validate: z.string().max(limits.nameLength).nullish(),
        }),
      },
      resolve: (_root, { name: part, ...args }, { store }) => {
        const filter = { name: part ?? undefined };
        const list = (page: Page) => store.datasets.list({ ...page, ...filter });
        return pageOf(args, list, () => store.datasets.count(filter));
      },
    },
    { name: "DatasetConnection" },
    { name: "DatasetEdge" },
  ),
);

builder.queryField("dataset", (t) =>
  t.field({
    type: DatasetRef,
    nullable: true,
    description: "The dataset with this id, also one that is deleted while something names it; null if there is none.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: DatasetRef, required: true, description: "Id of a dataset." }) },
    resolve: async (_root, { id }, { store }) => (await store.datasets.byIds([id.id]))[0] ?? null,
  }),
);

const CreateDatasetInput = builder.inputType("CreateDatasetInput", {
  description: "A new dataset. Give its rows inline (`jsonl`) or as a complete upload (`uploadId`), not both.",
  fields: (t) => ({
    idempotencyKey: t.string({
      description:
        `A key you choose for this request, 1 to ${limits.idempotencyKeyLength} characters. A second request with the same ` +
        "key, name and rows returns the first dataset; one with another name or other rows is a CONFLICT.",
      validate: z.string().min(1).max(limits.idempotencyKeyLength).nullish(),
    }),
    name: t.string({
      required: true,
      description: `Name of the dataset, 1 to ${limits.nameLength} characters.`,
      validate: z.string().trim().min(1).max(limits.nameLength),
    }),
    jsonl: t.string({
      description:
        'The rows, one JSON object per line: {"prompt": "...", "completion": "..."}. At most ' +
        `${limits.inlineDatasetBytes} bytes; upload larger datasets.`,
    }),
    uploadId: t.string({
      description:
        "URL, or last part of the URL, of a complete upload made at /uploads with the tus protocol (resumable). JSON Lines, " +
        `or parquet with one column per field; at most ${limits.datasetBytes} bytes. The upload is deleted once its rows ` +
        "are stored or refused.",
    }),
    prepare: t.field({
      type: PreparationInput,
      description: "How to convert, split or sample the rows first. Left out, the rows are stored unchanged.",
    }),
    expiry: t.field({ type: ExpiryInput, description: expiryText }),
  }),
});

builder.mutationField("createDataset", (t) =>
  t.field({
    type: DatasetRef,
    description:
      `Checks and stores a dataset of at most ${limits.datasetRows} rows. If rows are wrong, it fails with DATASET_INVALID, ` +
      "names their lines and fields, and stores nothing. Safe to repeat with an idempotency key; without one, repeating it creates another dataset.",
    complexity: queryCost,
    args: { input: t.arg({ type: CreateDatasetInput, required: true, description: "The dataset." }) },
    resolve: (_root, { input }, context) => {
      const preparation = input.prepare ? preparationOf(input.prepare) : null;
      const { name, uploadId, jsonl } = input;
      const { signal } = context;
      const expiry = expiryOfInput(input.expiry, "input.expiry");
      const dataset = { name, idempotencyKey: input.idempotencyKey ?? null, expiry, preparation, signal };
      if (uploadId != null && jsonl == null) return storeUpload(context, dataset, uploadId);
      if (jsonl != null && uploadId == null) return storeStream(context, dataset, inline(jsonl));
      throw new SteplogError("INVALID_ARGUMENT", "Give exactly one of `jsonl` and `uploadId`.", [
        { field: "input.jsonl", message: "give exactly one of `jsonl` and `uploadId`" },
      ]);
    },
  }),
);

/** Rows given inline, as a stream. @throws PAYLOAD_TOO_LARGE */
export function inline(jsonl: string): Readable {
  const bytes = Buffer.from(jsonl);
  if (bytes.length <= limits.inlineDatasetBytes) return Readable.from([bytes]);
  const message = `has ${bytes.length} bytes; the inline limit is ${limits.inlineDatasetBytes}. Upload the file to /uploads instead`;
  throw new SteplogError("PAYLOAD_TOO_LARGE", `jsonl ${message}.`, [{ field: "input.jsonl", message }]);
}

builder.mutationField("deleteDataset", (t) =>
  t.boolean({
    description:
      "Deletes a dataset's rows; runs and evaluations that have ended still name it, with `deletedAt`. One that a run or an " +
      "evaluation still needs stays (CONFLICT names them). True if there was one: repeating it is safe.",
    complexity: queryCost,
    args: { id: t.arg.globalID({ for: DatasetRef, required: true, description: "Id of a dataset." }) },
    resolve: (_root, { id }, { store }) => store.datasets.delete(id.id),
  }),
);
