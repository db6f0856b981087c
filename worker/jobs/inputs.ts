/** What jobs read from the store before they start, and the files that they leave in it. */
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { asSteplogError, invariant } from "../../schema/errors.ts";
import { toldToClients } from "../../schema/folders-in-messages.ts";
import type { BaseModel, FineTune, WeightsFile } from "../../schema/tables.ts";
import type { Store } from "../../store/store.ts";
import { withRetries } from "../with-retries.ts";
import type { JobContext } from "./job.ts";

export async function readRun(store: Store, id: string): Promise<FineTune> {
  const run = await store.fineTunes.get(id);
  invariant(run, `the job's fine-tune ${id} exists`);
  return run;
}

export async function readBase(store: Store, run: FineTune): Promise<BaseModel> {
  const baseModel = await store.baseModels.get(run.baseModelId);
  invariant(baseModel, `fine-tune ${run.id} has its base model`);
  return baseModel;
}

/** The lease is renewed meanwhile, and what was computed may have taken hours. */
const storagePatienceMs = 600_000;

/** Moves files of this worker into the store. While that does not answer, it waits, and says so. */
export async function storeFiles({ store, job, signal }: JobContext, paths: readonly string[]): Promise<WeightsFile[]> {
  const stored: WeightsFile[] = [];
  const tell = async (reason: unknown) => {
    const message = `The weights are made and wait for the storage. ${toldToClients(asSteplogError(reason)).message}`;
    // It only tells; whether the lease is lost, its renewal finds out.
    await store.tellWait(job, message).catch(() => {});
  };
  for (const path of paths) {
    const blob = await withRetries(() => store.blobs.put(path), {
      patienceMs: storagePatienceMs,
      signal,
      onWait: tell,
    });
    stored.push({ name: basename(path), ...blob });
    await rm(path);
  }
  return stored;
}
