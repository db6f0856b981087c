/** Adding base models from the hub: requests that a worker carries out, and how far they are. */
import { basename } from "node:path/posix";
import { z } from "zod";
import type { ModelDownload } from "../../../schema/download-tables.ts";
import type { ErrorCode } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import { type DownloadStatus } from "../../../schema/states.ts";
import { builder, queryCost } from "../builder.ts";
import { ErrorCodeRef } from "../fine-tune/error.ts";
import { BaseModelRef } from "../nodes.ts";

const DownloadStatusRef = builder.enumType("ModelDownloadStatus", {
  description: "How far a base model from the hub is.",
  values: {
    WAITING: { description: "No worker has taken it yet." },
    RUNNING: { description: "A worker downloads it." },
    SUCCEEDED: { description: "It is a base model." },
    FAILED: { description: "See its error. What was downloaded is kept, so that another request goes on from there." },
    CANCELLED: { description: "Somebody cancelled it." },
  } satisfies Record<DownloadStatus, { description: string }>,
});

const DownloadErrorRef = builder.objectRef<{ code: ErrorCode; message: string }>("ModelDownloadError").implement({
  description: "Why a model was not added.",
  fields: (t) => ({
    code: t.expose("code", {
      type: ErrorCodeRef,
      description:
        "NOT_FOUND: there is no such repository or revision. UNAUTHENTICATED: it is private or gated. MODEL_UNSUPPORTED, MODEL_INVALID: " +
        "it cannot be used. UNAVAILABLE: the network, or room on the worker's disk. CONFLICT: its folder is there already.",
    }),
    message: t.exposeString("message", { description: "What happened and what to do, in words." }),
  }),
});

interface FileOfDownload {
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

const ModelDownloadFileRef = builder.objectRef<FileOfDownload>("ModelDownloadFile").implement({
  description: "A file that is being downloaded.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Its name in the repository." }),
    doneBytes: t.expose("doneBytes", { type: "SafeInt", description: "Its bytes so far." }),
    totalBytes: t.expose("totalBytes", { type: "SafeInt", description: "Its size in bytes." }),
  }),
});

const ModelDownloadRef = builder.objectRef<ModelDownload>("ModelDownload").implement({
  description: "A base model that is, or was, added from the Hugging Face hub.",
  fields: (t) => ({
    name: t.exposeString("name", { description: "Name of the base model that it becomes; unique." }),
    repository: t.exposeString("repository", { description: "The repository on the hub." }),
    revision: t.exposeString("revision", { description: "The branch, tag or commit that was asked for." }),
    status: t.expose("status", { type: DownloadStatusRef, description: "How far it is." }),
    cancelRequested: t.exposeBoolean("cancelRequested", {
      description: "Whether it is to be cancelled, which takes its worker a few seconds.",
    }),
    stage: t.exposeString("stage", {
      nullable: true,
      description: "What its worker does: downloading, converting (files of PyTorch) or hashing. Null before.",
    }),
    doneBytes: t.expose("doneBytes", { type: "SafeInt", nullable: true, description: "Bytes of this stage so far." }),
    totalBytes: t.expose("totalBytes", { type: "SafeInt", nullable: true, description: "Bytes of this stage in all." }),
    file: t.field({
      type: ModelDownloadFileRef,
      nullable: true,
      description:
        "The file that is being downloaded, or of several the one that was begun first; null between two and in other stages.",
      resolve: ({ status, currentName: fileName, currentDoneBytes: doneBytes, currentTotalBytes: totalBytes }) =>
        status !== "RUNNING" || fileName === null || doneBytes === null || totalBytes === null
          ? null
          : { name: fileName, doneBytes, totalBytes },
    }),
    filesDone: t.exposeInt("filesDone", {
      nullable: true,
      description: "Files that are downloaded. Null before, and in other stages.",
    }),
    filesTotal: t.exposeInt("filesTotal", {
      nullable: true,
      description: "Files to download. Null before, and in other stages.",
    }),
    error: t.field({
      type: DownloadErrorRef,
      nullable: true,
      description: "Why it failed; null for others.",
      resolve: ({ errorCode, errorMessage }) =>
        errorCode === null ? null : { code: errorCode as ErrorCode, message: errorMessage ?? "" },
    }),
    baseModel: t.field({
      type: BaseModelRef,
      nullable: true,
      description: "The base model of this name; null until it is one.",
      complexity: queryCost,
      resolve: ({ name, status }, _args, { store }) =>
        status === "SUCCEEDED" ? store.baseModels.getByName(name) : null,
    }),
    requestedAt: t.expose("requestedAt", { type: "DateTime", description: "When it was asked for." }),
    finishedAt: t.expose("finishedAt", {
      type: "DateTime",
      nullable: true,
      description: "When it ended; null before.",
    }),
  }),
});

builder.queryField("modelDownloads", (t) =>
  t.field({
    type: [ModelDownloadRef],
    description: "Base models that are being added from the hub, and those that ended within a day; the oldest first.",
    complexity: { field: queryCost, multiplier: 10 },
    resolve: (_root, _args, { store }) => store.modelDownloads.list(),
  }),
);

const repositoryRule = "must be written ORGANISATION/NAME, as on the hub";
const nameRule = "must be letters, digits, dots, - and _, and begin with none of these but _";

const AddBaseModelInput = builder.inputType("AddBaseModelInput", {
  description: "A model on the Hugging Face hub.",
  fields: (t) => ({
    repository: t.string({
      required: true,
      description: "Its repository, ORGANISATION/NAME, such as facebook/opt-125m.",
      validate: z
        .string()
        .regex(/^(?:[\w-][\w.-]*\/)?[\w-][\w.-]*$/u, repositoryRule)
        .max(limits.nameLength),
    }),
    revision: t.string({
      defaultValue: "main",
      description: "A branch, tag or commit of it.",
      validate: z.string().trim().min(1).max(limits.nameLength).nullish(),
    }),
    name: t.string({
      description: "Name of the base model; the part of the repository after the last / when left out.",
      validate: z
        .string()
        .regex(/^\w[\w.-]*$/u, nameRule)
        .max(limits.nameLength)
        .nullish(),
    }),
  }),
});

builder.mutationField("addBaseModel", (t) =>
  t.field({
    type: ModelDownloadRef,
    description:
      "Asks a worker to download a model from the Hugging Face hub into its models folder and to register it as a base model, as " +
      "`steplog model add` does. It answers at once: `modelDownloads` tells how far it is. Only an operator may: scope ADMIN in the " +
      "default project. Repeating it during a download changes nothing; after a failure it resumes the download. " +
      "CONFLICT for a name that a base model, or another download, has.",
    complexity: queryCost,
    args: { input: t.arg({ type: AddBaseModelInput, required: true, description: "Which model." }) },
    resolve: (_root, { input: { repository, revision, name } }, { store }) =>
      store.modelDownloads.request({ repository, revision: revision ?? "main", name: name ?? basename(repository) }),
  }),
);

builder.mutationField("cancelModelDownload", (t) =>
  t.field({
    type: ModelDownloadRef,
    nullable: true,
    description:
      "Cancels the download of a base model, of which nothing is kept; one that has ended is only forgotten. Only an operator may: " +
      "scope ADMIN in the default project. Null if there is none of this name: repeating it is safe.",
    complexity: queryCost,
    args: { name: t.arg.string({ required: true, description: "Name that the base model was to have." }) },
    resolve: (_root, { name }, { store }) => store.modelDownloads.cancel(name),
  }),
);
