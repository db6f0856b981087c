/** Looks up what an argument names. @throws NOT_FOUND naming the argument, and what there is instead. */
import { didYouMean } from "../../schema/did-you-mean.ts";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { BaseModel, Checkpoint, Dataset, FineTune } from "../../schema/tables.ts";
import type { ProjectStore } from "../../store/store.ts";

/** How many existing things a NOT_FOUND error lists. */
export const listed = 10;

export async function requireFineTune(store: ProjectStore, id: string, field: string): Promise<FineTune> {
  return (await store.fineTunes.get(id)) ?? notFound(field, "There is no fine-tune with this id.");
}

export async function requireCheckpoint(store: ProjectStore, id: string, field: string): Promise<Checkpoint> {
  return (await store.checkpoints.get(id)) ?? notFound(field, "There is no checkpoint with this id.");
}

/** By name, since that is how people refer to models. */
export async function requireBaseModel(store: ProjectStore, name: string, field: string): Promise<BaseModel> {
  const model = await store.baseModels.getByName(name);
  if (model) return model;
  const names = (await store.baseModels.list({ limit: limits.pageSize })).map((row) => row.name);
  const known =
    names.length > 0 ? `Base models: ${names.slice(0, listed).join(", ")}.` : "No worker has registered one yet.";
  return notFound(field, `There is no base model "${name}".${didYouMean(name, names)} ${known}`);
}

export async function requireDataset(
  store: ProjectStore,
  id: string,
  field: string,
  toGlobalId: (id: string) => string,
): Promise<Dataset> {
  const dataset = await store.datasets.get(id);
  if (dataset) return dataset;
  const rows = await store.datasets.list({ limit: listed });
  const names = rows.map((row) => `${row.name} (${toGlobalId(row.id)})`).join(", ");
  const known = rows.length > 0 ? `The newest datasets: ${names}.` : "There are no datasets yet.";
  return notFound(field, `There is no dataset with this id. ${known}`);
}

export function notFound(field: string, message: string): never {
  throw new SteplogError("NOT_FOUND", `${field}: ${message}`, [{ field, message }]);
}
