/** Files of a service: datasets on their way to it, logs and weights from it, and the weights that it makes first. */
import { SteplogError } from "../schema/errors.ts";
import type { DatasetInput } from "./dataset-body.ts";
import { datasetBody, isReadOnce } from "./dataset-body.ts";
import { failureOfText } from "./errors.ts";
import * as operations from "./operations.ts";
import type { CheckpointExportFragment, CheckpointFragment } from "./operations.ts";
import { type RebuildWaitOptions, pause } from "./pause.ts";
import type { Platform } from "./platform.ts";
import type { Requests } from "./requests.ts";
import type { WeightsDtype } from "./schema-types.ts";

export type Checkpoint = CheckpointFragment;
export type CheckpointExport = CheckpointExportFragment;
export type WeightsFile = CheckpointExport["files"][number];

export interface StoredDataset {
  readonly id: string;
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of its bytes, 64 hex digits. */
  readonly sha256: string;
}

/** A form of a checkpoint's weights; at least one of the two. */
export interface ExportForm {
  /** Adds a LoRA adapter into the weights of its base. */
  readonly merged?: boolean;
  /** Number format of all tensors; that of training, and of the base, when left out. */
  readonly dtype?: WeightsDtype;
}

/** A file of the service that has started to arrive. Read it once, in one of these ways. */
export interface Download {
  readonly stream: ReadableStream<Uint8Array>;
  bytes(): Promise<Uint8Array>;
  /** Writes the file to disk (Node only); it appears there when it is complete. */
  save(path: string): Promise<void>;
}

/** How often a worker's progress is looked at. */
export const pollMs = 1_000;

export class Files {
  readonly #requests: Requests;
  readonly #platform: Platform;

  constructor(requests: Requests, platform: Platform) {
    this.#requests = requests;
    this.#platform = platform;
  }

  async store(input: DatasetInput): Promise<StoredDataset> {
    const { name, preset, idempotencyKey } = input;
    const optional = {
      ...(preset !== undefined && { preset }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
    const parameters = new URLSearchParams({ name, ...optional });
    const headers = { "content-type": "application/octet-stream" };
    const made = async () => ({ method: "POST", headers, ...(await datasetBody(input, this.#platform)) });
    const path = `/datasets?${parameters.toString()}`;
    return (await this.#requests.ask(path, isReadOnce(input) ? await made() : made)) as StoredDataset;
  }

  async download(url: string): Promise<Download> {
    const stream = await this.#requests.open(url);
    return {
      stream,
      bytes: async () => new Uint8Array(await new Response(stream).arrayBuffer()),
      save: (path) => this.#platform.saveFile(path, stream),
    };
  }

  async downloadWeights({ id, weightsFiles }: Checkpoint, folder: string): Promise<void> {
    if (weightsFiles.length === 0) {
      throw new SteplogError("INVALID_STATE", `The weights of checkpoint ${id} are not stored. Rebuild them.`);
    }
    await this.downloadAll(weightsFiles, folder);
  }

  async downloadAll(files: readonly WeightsFile[], folder: string): Promise<void> {
    for (const { name, url, sha256 } of files) {
      await this.#platform.saveFile(`${folder}/${name}`, await this.#requests.open(url), sha256);
    }
  }

  async rebuild(checkpointId: string, options: RebuildWaitOptions): Promise<Checkpoint> {
    const requests = this.#requests;
    const variables = { id: checkpointId };
    let checkpoint = (await requests.query(operations.materialiseCheckpoint, variables)).materialiseCheckpoint;
    while (checkpoint.weightsStatus === "QUEUED") {
      options.onWait?.(checkpoint.weightsWaitingReason);
      await pause(pollMs, options.signal);
      const found = await requests.patiently(
        () => requests.query(operations.checkpoint, variables, options.signal),
        options,
      );
      if (!found.checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${checkpointId}.`);
      checkpoint = found.checkpoint;
    }
    if (checkpoint.weightsStatus === "STORED") return checkpoint;
    throw new SteplogError(
      "INTERNAL",
      `The weights cannot be rebuilt: ${checkpoint.weightsError ?? "no reason given"}`,
    );
  }

  async exportWeights(
    checkpointId: string,
    { merged = false, dtype, ...options }: ExportForm & RebuildWaitOptions,
  ): Promise<CheckpointExport> {
    if (!merged && dtype === undefined) {
      throw new SteplogError("INVALID_ARGUMENT", "Give merged or dtype; rebuild has the weights as they were trained.");
    }
    const requests = this.#requests;
    const form = { merged, dtype: dtype ?? null };
    const isAsked = (one: CheckpointExport) => one.merged === form.merged && one.dtype === form.dtype;
    const asked = await requests.query(operations.exportCheckpoint, { id: checkpointId, ...form });
    let found = asked.materialiseCheckpoint.exports.find(isAsked);
    while (found?.status === "QUEUED") {
      options.onWait?.(found.waitingReason);
      await pause(pollMs, options.signal);
      const ask = () => requests.query(operations.checkpointExports, { id: checkpointId }, options.signal);
      found = (await requests.patiently(ask, options)).checkpoint?.exports.find(isAsked);
    }
    if (found?.status === "STORED") return found;
    if (!found) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${checkpointId} any more.`);
    throw failureOfText(found.error ?? "");
  }
}
