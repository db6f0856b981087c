/**
 * How a dataset comes in, whatever the way, as JSON Lines or parquet; what is stored is JSON Lines. Its source is read twice, once to check every line and once to store it,
 * so that nothing is stored of a dataset with a wrong line.
 */
import { isParquet, objectsOf, parquetLines } from "../../dataset/files.ts";
import { checkDataset } from "../../dataset/jsonl.ts";
import type { Preparation } from "../../dataset/prepare.ts";
import { jsonRows, preparedLines } from "../../dataset/prepare.ts";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { Dataset } from "../../schema/tables.ts";
import type { Services } from "../context.ts";

/** Bytes that can be read more than once, and the file where they are in one: it may be parquet. */
interface Source {
  open(): AsyncIterable<Uint8Array>;
  readonly path?: string;
}

/** @throws DATASET_INVALID, PAYLOAD_TOO_LARGE */
export async function storeDataset(
  { store }: Services,
  name: string,
  source: Source,
  preparation: Preparation | null = null,
): Promise<Dataset> {
  const open = await opener(source, preparation);
  const { rows } = await checkDataset(open());
  const blob = await store.blobs.put(open(), { maxBytes: limits.datasetBytes });
  return store.datasets.create({ name, ...blob, rows });
}

/** How the rows are read as JSON Lines. */
async function opener(source: Source, preparation: Preparation | null): Promise<() => AsyncIterable<Uint8Array>> {
  const { path } = source;
  if (path === undefined || !(await isParquet(path))) {
    return () => (preparation ? preparedLines(jsonRows(source.open()), preparation) : source.open());
  }
  return () => (preparation ? preparedLines(objectsOf(path), preparation) : parquetLines(path));
}

/** Turns a complete upload into a dataset. The upload is removed, also when its rows turned out wrong. */
export async function storeUpload(
  services: Services,
  name: string,
  idOrUrl: string,
  preparation: Preparation | null,
): Promise<Dataset> {
  const upload = await services.uploads.complete(idOrUrl, "input.uploadId");
  return storeAndRemove(services, name, upload, preparation);
}

/** Stores the body of a request as it comes. */
export async function storeStream(
  services: Services,
  name: string,
  body: AsyncIterable<Uint8Array>,
  preparation: Preparation | null,
): Promise<Dataset> {
  return storeAndRemove(services, name, await services.uploads.spool(body), preparation);
}

interface Spooled extends Source {
  remove(): Promise<void>;
}

/** A fault of ours leaves the upload, so that the client can try again; anything else has used it up. */
async function storeAndRemove(
  services: Services,
  name: string,
  upload: Spooled,
  preparation: Preparation | null,
): Promise<Dataset> {
  try {
    const dataset = await storeDataset(services, name, upload, preparation);
    await upload.remove();
    return dataset;
  } catch (error) {
    if (error instanceof SteplogError && (error.code === "DATASET_INVALID" || error.code === "PAYLOAD_TOO_LARGE")) {
      await upload.remove();
    }
    throw error;
  }
}
