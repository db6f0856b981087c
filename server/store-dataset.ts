/**
 * Stores a dataset: given inline, from an upload, or from the body of a request, as JSON Lines, CSV or parquet. What
 * is stored is JSON Lines. Its rows are read in the sandbox; only when all are right is anything stored.
 */
import { stat } from "node:fs/promises";
import type { Preparation } from "../dataset/prepare.ts";
import type { makeDataset } from "../dataset/tasks.ts";
import { limitsFor } from "../sandbox/limits.ts";
import { SteplogError } from "../schema/errors.ts";
import type { Expiry } from "../schema/expiry.ts";
import { programPath } from "../schema/package.ts";
import type { Dataset } from "../schema/tables.ts";
import type { ViewerServices } from "./context.ts";

/** What a client gives with the rows of a dataset. */
export interface DatasetLabel {
  readonly name: string;
  readonly idempotencyKey: string | null;
  /** When it ends; null for as the project says. */
  readonly expiry: Expiry | null;
}

interface NewDataset extends DatasetLabel {
  readonly preparation: Preparation | null;
  /** Aborted when the client has left. */
  readonly signal: AbortSignal;
}

/** Bytes of a client, in a file. */
interface Spooled {
  readonly path: string;
  remove(): Promise<void>;
}

/** Turns a complete upload into a dataset. The upload is removed, even when its rows are wrong. */
export async function storeUpload(services: ViewerServices, dataset: NewDataset, idOrUrl: string): Promise<Dataset> {
  const upload = await services.uploads
    .complete(idOrUrl, "input.uploadId", services.store.viewer.projectId)
    .catch(async (error: unknown) => {
      const first = await datasetOfUpload(services, dataset, error);
      if (first) return first;
      throw error;
    });
  return "remove" in upload ? storeAndRemove(services, dataset, upload) : upload;
}

/** A repeated request finds its upload gone, and the dataset that the first one stored. */
async function datasetOfUpload({ store }: ViewerServices, { name, idempotencyKey }: NewDataset, error: unknown) {
  if (idempotencyKey === null || !(error instanceof SteplogError && error.code === "NOT_FOUND")) return null;
  const first = await store.datasets.ofKey(idempotencyKey);
  return first?.name === name ? first : null;
}

/** Stores the body of a request. */
export async function storeStream(
  services: ViewerServices,
  dataset: NewDataset,
  body: AsyncIterable<Uint8Array>,
): Promise<Dataset> {
  const spooled = await services.uploads.spool(body);
  try {
    return await storeAndRemove(services, dataset, spooled);
  } finally {
    // Nobody can name it again.
    await spooled.remove();
  }
}

/** Removes the upload when it was stored or refused. After a fault of ours it stays, so that the client can try again. */
async function storeAndRemove(services: ViewerServices, dataset: NewDataset, upload: Spooled): Promise<Dataset> {
  try {
    const stored = await storeDataset(services, dataset, upload.path);
    await upload.remove();
    return stored;
  } catch (error) {
    if (error instanceof SteplogError && (error.code === "DATASET_INVALID" || error.code === "PAYLOAD_TOO_LARGE")) {
      await upload.remove();
    }
    throw error;
  }
}

/** @throws DATASET_INVALID, PAYLOAD_TOO_LARGE; CONFLICT for an idempotency key that was used with another input */
async function storeDataset(
  { store, uploads, sandbox }: ViewerServices,
  { preparation, signal, ...label }: NewDataset,
  path: string,
): Promise<Dataset> {
  const made = uploads.scratch();
  try {
    const { size } = await stat(path);
    const { rows, stored } = await sandbox.run<typeof makeDataset>({
      file: programPath("dataset/tasks"),
      name: "makeDataset",
      input: { path, preparation, to: made.path },
      limits: limitsFor(size),
      blame: { code: "DATASET_INVALID", doing: "Reading the dataset" },
      signal,
    });
    return await store.datasets.create({ ...label, path: stored, rows });
  } finally {
    await made.remove();
  }
}
