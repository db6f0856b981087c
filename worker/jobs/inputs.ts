/** What jobs read from the store before they start, and the files that they leave in it. */
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { invariant } from "../../schema/errors.ts";
import type { BaseModel, FineTune, WeightsFile } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { withRetries } from "../with-retries.ts";
import type { JobContext } from "./job.ts";

/** A run and its base model. */
export async function readRun(store: Store, id: string): Promise<{ run: FineTune; baseModel: BaseModel }> {
  const run = await store.fineTunes.get(id);
  invariant(run, `the job's fine-tune ${id} exists`);
  const baseModel = await store.baseModels.get(run.baseModelId);
  invariant(baseModel, `fine-tune ${id} has its base model`);
  return { run, baseModel };
}

/** The lease is renewed meanwhile, and what was computed may have taken hours. */
const storagePatienceMs = 600_000;

/** Moves files of this worker into the store. While that does not answer, it waits. */
export async function storeFiles({ store, signal }: JobContext, paths: readonly string[]): Promise<WeightsFile[]> {
  const stored: WeightsFile[] = [];
  for (const path of paths) {
    const blob = await withRetries(() => store.blobs.put(path), { patienceMs: storagePatienceMs, signal });
    stored.push({ name: basename(path), ...blob });
    await rm(path);
  }
  return stored;
}
