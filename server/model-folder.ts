/** Where this gateway has the tokenizer, config and chat template of a base model: in its models folder, or copied from the store. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { SteplogError } from "../schema/errors.ts";
import { toldToClients } from "../schema/folders-in-messages.ts";
import type { BaseModel } from "../schema/tables.ts";
import type { ProjectStore } from "../store/store.ts";

interface HasModels {
  readonly store: Pick<ProjectStore, "copiedModels">;
  readonly modelsDir: string;
}

/** Runs `work` on the folder, which stays as it is until then. Weights need not be in it. */
export async function withModelFolder<Result>(
  { store, modelsDir }: HasModels,
  model: BaseModel,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const own = join(modelsDir, model.name);
  const isHere = await stat(own).then(
    () => true,
    () => false,
  );
  const copied = isHere ? null : await store.copiedModels.use(model, (name) => !name.endsWith(".safetensors"));
  try {
    return await work(copied?.path ?? own);
  } catch (error) {
    throw error instanceof SteplogError ? toldToClients(error) : error;
  } finally {
    copied?.release();
  }
}
