/** Where this worker has a base model: in its models folder, or copied from the store. */
import { join } from "node:path";
import { type ModelsAtHand, hashesDirOf } from "../models/registration.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { Store } from "../store/store.ts";

export interface BasePlace {
  readonly modelPath: string;
  /** Where its base hash is kept. */
  readonly hashesDir: string;
}

/** The place stays as it is until it is released. */
export interface UsedBase extends BasePlace {
  release(this: void): void;
}

interface HasModels {
  readonly store: Store;
  readonly modelsDir: string;
  readonly models: ModelsAtHand;
}

/** A model that nobody has stored is looked for in the models folder, and its absence told from there. */
export async function useBase({ store, modelsDir, models }: HasModels, model: BaseModel): Promise<UsedBase> {
  const here = { modelPath: join(modelsDir, model.name), hashesDir: hashesDirOf(modelsDir), release() {} };
  if (models.isHere(model)) return here;
  const copied = await store.copiedModels.use(model);
  return copied
    ? { modelPath: copied.path, hashesDir: store.copiedModels.hashesDir, release: () => copied.release() }
    : here;
}

export type BaseOf = (model: BaseModel) => Promise<BasePlace>;

/** Runs `work` with a function from base models to places, which stay valid until it ends. */
export async function withBases<Result>(worker: HasModels, work: (baseOf: BaseOf) => Promise<Result>): Promise<Result> {
  const used: UsedBase[] = [];
  let isOver = false;
  try {
    return await work(async (model) => {
      const base = await useBase(worker, model);
      if (isOver) base.release();
      else used.push(base);
      return { modelPath: base.modelPath, hashesDir: base.hashesDir };
    });
  } finally {
    isOver = true;
    for (const base of used) base.release();
  }
}
