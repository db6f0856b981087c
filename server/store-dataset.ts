/**
 * Stores a dataset: given inline, from an upload, or from the body of a request, as JSON Lines or parquet. What is stored
 * is JSON Lines. The source is read twice, first to check every line, then to store it, so a dataset with a wrong line
 * leaves nothing behind.
 */
import { isParquet, objectsOf, parquetLines } from "../dataset/files.ts";
import { checkDataset } from "../dataset/jsonl.ts";
import type { Preparation } from "../dataset/prepare.ts";
import { jsonRows, preparedLines } from "../dataset/prepare.ts";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import type { Dataset } from "../schema/tables.ts";
import type { Services } from "./context.ts";

/** What a client gives with the rows of a dataset. */
export interface DatasetLabel {
  readonly name: string;
  readonly idempotencyKey: string | null;
}

/** Bytes that can be read more than once. `path` is set when they are in a file, which may then be parquet. */
interface Source {
  open(): AsyncIterable<Uint8Array>;
  readonly path?: string;
}

/** @throws DATASET_INVALID, PAYLOAD_TOO_LARGE; CONFLICT for an idempotency key that was used with another input */
export async function storeDataset(
  { store }: Services,
  label: DatasetLabel,
  source: Source,
  preparation: Preparation | null = null,
): Promise<Dataset> {
  const open = await opener(source, preparation);
  const { rows } = await checkDataset(open());
  const blob = await store.blobs.put(open(), { maxBytes: limits.datasetBytes });
  return store.datasets.create({ ...label, ...blob, rows });
}

/** A function that reads the source as JSON Lines. */
async function opener(source: Source, preparation: Preparation | null): Promise<() => AsyncIterable<Uint8Array>> {
  const { path } = source;
  if (path === undefined || !(await isParquet(path))) {
    return () => (preparation ? preparedLines(jsonRows(source.open()), preparation) : source.open());
  }
  return () => (preparation ? preparedLines(objectsOf(path), preparation) : parquetLines(path));
}

/** Turns a complete upload into a dataset. The upload is removed, even when its rows are wrong. */
export async function storeUpload(
  services: Services,
  label: DatasetLabel,
  idOrUrl: string,
  preparation: Preparation | null,
): Promise<Dataset> {
  const upload = await services.uploads.complete(idOrUrl, "input.uploadId").catch(async (error: unknown) => {
    const first = await datasetOfUpload(services, label, error);
    if (first) return first;
    throw error;
  });
  return "open" in upload ? storeAndRemove(services, label, upload, preparation) : upload;
}

/** A repeated request finds its upload gone, and the dataset that the first one stored. */
async function datasetOfUpload({ store }: Services, { name, idempotencyKey }: DatasetLabel, error: unknown) {
  if (idempotencyKey === null || !(error instanceof SteplogError && error.code === "NOT_FOUND")) return null;
  const first = await store.datasets.ofKey(idempotencyKey);
  return first?.name === name ? first : null;
}

/** Stores the body of a request. */
export async function storeStream(
  services: Services,
  label: DatasetLabel,
  body: AsyncIterable<Uint8Array>,
  preparation: Preparation | null,
): Promise<Dataset> {
  return storeAndRemove(services, label, await services.uploads.spool(body), preparation);
}

interface Spooled extends Source {
  remove(): Promise<void>;
}

/** Removes the upload when it was stored or refused. After a fault of ours it stays, so that the client can try again. */
async function storeAndRemove(
  services: Services,
  label: DatasetLabel,
  upload: Spooled,
  preparation: Preparation | null,
): Promise<Dataset> {
  try {
    const dataset = await storeDataset(services, label, upload, preparation);
    await upload.remove();
    return dataset;
  } catch (error) {
    if (error instanceof SteplogError && (error.code === "DATASET_INVALID" || error.code === "PAYLOAD_TOO_LARGE")) {
      await upload.remove();
    }
    throw error;
  }
}
