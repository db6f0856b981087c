/** Sends the rows of a new dataset. By XMLHttpRequest, since no browser tells how much of a fetch has been sent. */
import { SteplogError, type StoredDataset } from "../../../client/browser.ts";
import { errorIn, failureOf } from "../../../client/errors.ts";
import { baseUrl } from "../base.ts";
import { tellTabs } from "./connection.ts";
import { KeyRefused } from "./failure.ts";
import { readKey } from "./session.ts";

interface Upload {
  readonly rows: Blob;
  readonly name: string;
  /** The task whose published rows these are; "" for none. */
  readonly preset: string;
  /** With one, an upload can be repeated after a lost answer. */
  readonly idempotencyKey?: string;
  /** Called with the share that has been sent, 0 to 1. */
  readonly onSent: (share: number) => void;
  /** Aborted by whoever no longer wants it stored. */
  readonly signal: AbortSignal;
}

/** @throws SteplogError DATASET_INVALID with the lines that are wrong, and as the service answers */
export function uploadDataset({ rows, name, preset, idempotencyKey, onSent, signal }: Upload): Promise<StoredDataset> {
  const parameters = new URLSearchParams({
    name,
    ...(preset !== "" && { preset }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  });
  const request = new XMLHttpRequest();
  request.open("POST", `${baseUrl}/datasets?${parameters.toString()}`);
  request.setRequestHeader("content-type", "application/octet-stream");
  const key = readKey();
  if (key !== "") request.setRequestHeader("authorization", `Bearer ${key}`);
  request.responseType = "json";
  return new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", ({ loaded, total }) => onSent(total > 0 ? loaded / total : 1));
    request.addEventListener("error", () => reject(failureOf(baseUrl, null)));
    request.addEventListener("abort", () => reject(new SteplogError("UNAVAILABLE", "The upload was stopped.")));
    request.addEventListener("load", () => {
      const answer: unknown = request.response;
      const error = errorIn(answer);
      if (error) reject(request.status === 401 ? new KeyRefused(key, error) : error);
      else if (request.status === 201) {
        tellTabs();
        resolve(answer as StoredDataset);
      } else reject(failureOf(baseUrl, null));
    });
    signal.addEventListener("abort", () => request.abort());
    request.send(rows);
  });
}
