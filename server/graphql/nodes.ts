/**
 * The types with an id (Relay's Node), and how their rows are loaded; each type's fields are in its own file. Loaders
 * batch but do not cache, since a subscription or a mutation must see the current row.
 */
import type { BaseModel, Checkpoint, Dataset, FineTune } from "../../schema/tables.ts";
import type { ApiKey, Project } from "../../schema/project-tables.ts";
import type { Completion, ModelEvaluation } from "../../schema/serving-tables.ts";
import type { Sweep } from "../../schema/sweep-tables.ts";
import type { WebhookEndpoint } from "../../schema/webhook-tables.ts";
import type { LoggedDelivery, ProjectStore } from "../../store/store.ts";
import type { Context } from "../context.ts";
import { builder } from "./builder.ts";

interface Row {
  readonly id: string;
}

function loading<R extends Row>(byIds: (store: ProjectStore, ids: readonly string[]) => Promise<(R | null)[]>) {
  return {
    id: { resolve: (row: R) => row.id },
    load: async (ids: string[], context: Context): Promise<R[]> =>
      (await byIds(context.store, ids)).filter((row) => row !== null),
    toKey: (row: R) => row.id,
    sort: true,
    loaderOptions: { cache: false },
  };
}

export const ProjectRef = builder.loadableNodeRef(
  "Project",
  loading<Project>((store, ids) => store.administration.projectsByIds(ids)),
);
export const ApiKeyRef = builder.loadableNodeRef(
  "ApiKey",
  loading<ApiKey>((store, ids) => store.administration.keysByIds(ids)),
);
export const BaseModelRef = builder.loadableNodeRef(
  "BaseModel",
  loading<BaseModel>((store, ids) => store.baseModels.byIds(ids)),
);
export const DatasetRef = builder.loadableNodeRef(
  "Dataset",
  loading<Dataset>((store, ids) => store.datasets.byIds(ids)),
);
export const FineTuneRef = builder.loadableNodeRef(
  "FineTune",
  loading<FineTune>((store, ids) => store.fineTunes.byIds(ids)),
);
export const SweepRef = builder.loadableNodeRef(
  "Sweep",
  loading<Sweep>((store, ids) => store.sweeps.byIds(ids)),
);
export const CheckpointRef = builder.loadableNodeRef(
  "Checkpoint",
  loading<Checkpoint>((store, ids) => store.checkpoints.byIds(ids)),
);
export const CompletionRef = builder.loadableNodeRef(
  "Completion",
  loading<Completion>((store, ids) => store.completions.byIds(ids)),
);
export const ModelEvaluationRef = builder.loadableNodeRef(
  "ModelEvaluation",
  loading<ModelEvaluation>((store, ids) => store.evaluations.byIds(ids)),
);
export const WebhookRef = builder.loadableNodeRef(
  "Webhook",
  loading<WebhookEndpoint>((store, ids) => store.webhooks.byIds(ids)),
);
export const WebhookDeliveryRef = builder.loadableNodeRef(
  "WebhookDelivery",
  loading<LoggedDelivery>((store, ids) => store.webhooks.deliveriesByIds(ids)),
);
