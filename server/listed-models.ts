/** The models that can answer, by the names that requests give. */
import { modelKindOf } from "../schema/model-kind.ts";
import { limits } from "../schema/limits.ts";
import type { Store } from "../store/store.ts";
import { checkpointName } from "./targets.ts";

export interface ListedModel {
  readonly name: string;
  readonly at: Date;
}

/** Aliases, bases that can write, and the last checkpoint of each of the newest runs; of each kind, a page at most. */
export async function listedModels(store: Store): Promise<ListedModel[]> {
  const page = { limit: limits.pageSize };
  const [aliases, bases, runs] = await Promise.all([
    store.aliases.list(page),
    store.baseModels.list(page),
    store.fineTunes.list(page),
  ]);
  const last = await Promise.all(runs.map(({ id }) => store.checkpoints.list(id, { limit: 1 })));
  return [
    ...aliases.map(({ name, updatedAt }) => ({ name, at: updatedAt })),
    ...bases.flatMap(({ name, family, createdAt }) =>
      modelKindOf(family) === "masked" ? [] : [{ name, at: createdAt }],
    ),
    ...last.flat().map(({ id, createdAt }) => ({ name: checkpointName(id), at: createdAt })),
  ];
}
