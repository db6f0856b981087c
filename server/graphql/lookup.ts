/** Things that an argument names and that must be there. */
import { SteplogError } from "../../schema/errors.ts";
import type { BaseModel, Checkpoint, Dataset, FineTune, FoundModel } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";

/** How many of what there is an error lists. */
const listed = 10;

export async function requireFineTune(store: Store, id: string, field: string): Promise<FineTune> {
  return (await store.fineTunes.get(id)) ?? notFound(field, "There is no fine-tune with this id.");
}

export async function requireCheckpoint(store: Store, id: string, field: string): Promise<Checkpoint> {
  return (await store.checkpoints.get(id)) ?? notFound(field, "There is no checkpoint with this id.");
}

/** By name, which is how people know models. */
export async function requireBaseModel(store: Store, name: string, field: string): Promise<BaseModel> {
  const model = await store.baseModels.getByName(name);
  if (model) return model;
  const names = (await store.baseModels.list({ limit: listed })).map((row) => row.name);
  const known = names.length > 0 ? `There are: ${names.join(", ")}.` : "No worker has registered one yet.";
  return notFound(field, `There is no base model "${name}". ${known}`);
}

/** Asks for its registration. A name that no worker found is refused, so that clients cannot reach for a path. */
export async function requestFoundModel(store: Store, name: string, field: string): Promise<FoundModel> {
  const found = await store.foundModels.requestRegistration(name);
  if (found) return found;
  const names = (await store.foundModels.list(listed)).map((row) => row.name);
  const known = names.length > 0 ? `There are: ${names.join(", ")}.` : "There is none that is not a base model.";
  return notFound(field, `No worker found a folder "${name}". ${known}`);
}

export async function requireDataset(
  store: Store,
  id: string,
  field: string,
  toGlobalId: (id: string) => string,
): Promise<Dataset> {
  const dataset = await store.datasets.get(id);
  if (dataset) return dataset;
  const rows = await store.datasets.list({ limit: listed });
  const names = rows.map((row) => `${row.name} (${toGlobalId(row.id)})`).join(", ");
  const known = rows.length > 0 ? `The newest are: ${names}.` : "There are none yet.";
  return notFound(field, `There is no dataset with this id. ${known}`);
}

function notFound(field: string, message: string): never {
  throw new SteplogError("NOT_FOUND", `${field}: ${message}`, [{ field, message }]);
}
