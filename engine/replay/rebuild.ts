/** Rebuilds a checkpoint from the base and the log, as files that transformers or peft loads. */
import { mkdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Device } from "../devices/device.ts";
import { copyCompanions, dtypeOfTrained, isCompanion } from "../model/files/companions.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { forgetHash, keptBaseHash } from "../model/files/hashes.ts";
import type { WrittenFile } from "../model/files/shards.ts";
import { refuseMerge, writeMerged, writeReplayed } from "./reconstruct.ts";
import { matchBase } from "./replay.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import type { StepLogHeader } from "../../schema/step-log.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import type { EngineMessage, MaterialiseRequest } from "../thread/messages.ts";
import type { StopCheck } from "../thread/stopping.ts";
import { Stopped, stopCheck } from "../thread/stopping.ts";

interface RebuildOptions {
  readonly shardBytes?: number;
  readonly stopping?: () => boolean;
  /** Waited for between two parts of the log. */
  readonly between?: () => Promise<void>;
}

/** @throws BASE_MISMATCH, MODEL_INVALID, LOG_INVALID; INTERNAL if the rebuilt weights differ from those trained */
export async function* runMaterialise(
  request: MaterialiseRequest,
  device: Device,
  { stopping = () => false, between, ...options }: RebuildOptions = {},
): AsyncGenerator<EngineMessage> {
  try {
    yield { type: "materialised", files: await materialise(request, device, stopCheck(stopping, between), options) };
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    yield { type: "stopped" };
  }
}

const asTrained: WeightsForm = { merged: false, dtype: null };

/**
 * Paths of the files. A request to stop takes effect between two chunks of the base, and two parts of the log. The digest is
 * compared before a merge, and that of another dtype is taken before the conversion: no form is made of wrong weights.
 */
async function materialise(
  request: MaterialiseRequest,
  device: Device,
  check: StopCheck,
  options: { readonly shardBytes?: number },
): Promise<string[]> {
  const { hashesDir, weightsDir, form = asTrained } = request;
  const name = basename(request.modelPath);
  const base = await openModelFolder(request.modelPath, check.now);
  const log = decodeStepLog(request.log);
  if (form.merged) refuseMerge(log);
  matchBase(base, log.header, await keptBaseHash(base, name, { folder: hashesDir, now: Date.now }, check.now));
  const folder = form.merged ? join(weightsDir, "adapter") : weightsDir;
  await mkdir(folder, { recursive: true });
  const dtype = form.merged ? null : form.dtype;
  const written = { ...options, dtype, onProgress: check.now, beforePart: check.pause };
  const { files, digest } = await writeReplayed(base, log, device, folder, written);
  if (digest !== request.digest) {
    // A failing disk changes bytes but not times, so the next attempt must hash the base again.
    await forgetHash(name, { folder: hashesDir });
    throw wrongDigest(request, digest);
  }
  if (!form.merged) return wholeFolder(base, log.header, weightsDir, files, dtype);
  const merging = { ...options, base, dtype: form.dtype, companions: isCompanion, onWritten: check.now };
  const merged = await writeMerged(merging, folder, weightsDir);
  await rm(folder, { recursive: true });
  return [...merged.files.map(({ path }) => path), ...merged.companions];
}

/** Paths of the written weights and, except for an adapter, copies of the base's config, tokenizer and licence. */
export async function wholeFolder(
  base: ModelFolder,
  header: Pick<StepLogHeader, "lora" | "prefix" | "trainable">,
  folder: string,
  weights: readonly WrittenFile[],
  dtype: OutputDtype | null = null,
): Promise<string[]> {
  const adapted = header.lora ?? header.prefix;
  const named = dtype ?? dtypeOfTrained(base, header.trainable);
  const companions = adapted ? [] : await copyCompanions(base, named, folder, isCompanion);
  return [...weights.map(({ path }) => path), ...companions];
}

export function wrongDigest(
  { digest, modelPath }: Pick<MaterialiseRequest, "digest" | "modelPath">,
  seen: string,
): SteplogError {
  return new SteplogError(
    "INTERNAL",
    `The rebuilt weights have the digest ${seen}, but the trained weights had ${digest}. Either the files in ` +
      `${modelPath} are damaged, which the next attempt will detect, or this machine makes errors.`,
  );
}
