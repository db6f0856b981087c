/** A checkpoint as the files of a folder that transformers or peft loads, rebuilt from the base and the log. */
import { basename } from "node:path";
import type { Device } from "../devices/device.ts";
import { copyCompanions, isCompanion } from "../model/files/companions.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { forgetHash, keptBaseHash } from "../model/files/hashes.ts";
import type { WrittenFile } from "../model/files/shards.ts";
import { writeReplayed } from "./reconstruct.ts";
import { matchBase } from "./replay.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { StepLogHeader } from "../../schema/step-log.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { EngineMessage, MaterialiseRequest } from "../thread/messages.ts";

/** @throws BASE_MISMATCH, MODEL_INVALID, LOG_INVALID; INTERNAL when other weights come of it than were trained */
export async function* runMaterialise(
  request: MaterialiseRequest,
  device: Device,
  options: { readonly shardBytes?: number } = {},
): AsyncGenerator<EngineMessage> {
  const { hashesDir, weightsDir } = request;
  const name = basename(request.modelPath);
  const base = await openModelFolder(request.modelPath);
  const log = decodeStepLog(request.log);
  matchBase(base, log.header, await keptBaseHash(base, name, { folder: hashesDir, now: Date.now }));
  const { files, digest } = await writeReplayed(base, log, device, weightsDir, options);
  if (digest !== request.digest) {
    // A disk that changes bytes leaves their times as they are: the base is to be read whole before the next try.
    await forgetHash(name, { folder: hashesDir });
    throw otherWeights(request, digest);
  }
  yield { type: "materialised", files: await wholeFolder(base, log.header, weightsDir, files) };
}

/** Paths of written weights, and of the base's config, tokenizer and licence beside them. An adapter needs none. */
export async function wholeFolder(
  base: ModelFolder,
  header: Pick<StepLogHeader, "lora" | "prefix" | "trainable">,
  folder: string,
  weights: readonly WrittenFile[],
): Promise<string[]> {
  const adapted = header.lora ?? header.prefix;
  const companions = adapted ? [] : await copyCompanions(base, header.trainable, folder, isCompanion);
  return [...weights.map(({ path }) => path), ...companions];
}

function otherWeights({ digest, modelPath }: MaterialiseRequest, seen: string): SteplogError {
  return new SteplogError(
    "INTERNAL",
    `The rebuilt weights have the digest ${seen}, and those that were trained had ${digest}. Either the files in ` +
      `${modelPath} are damaged, which the next try will find, or this machine computes wrongly.`,
  );
}
