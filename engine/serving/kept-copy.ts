/**
 * Saves a checkpoint that is answered from memory to a folder, with the same files as a rebuild. It runs in the background and
 * waits while requests are answered, though not for ever: until it has finished, its weights cannot be evicted.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError } from "../../schema/errors.ts";
import type { StepLogHeader } from "../../schema/step-log.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { stampOf } from "../model/files/hashes.ts";
import type { OutputFile } from "../model/files/shards.ts";
import { writeFiles } from "../model/files/shards.ts";
import { pieceBytes } from "../replay/pieces.ts";
import { wholeFolder } from "../replay/rebuild.ts";
import { trainedFiles } from "../replay/replay.ts";
import type { LoadedBase } from "./loaded-base.ts";

/** Weights that are in no file. */
export interface Unkept {
  readonly base: ModelFolder;
  /** Of the base's files when they were read. */
  readonly stamp: string;
  readonly header: StepLogHeader;
}

/** From then on it waits for no request. */
const latestMs = 30_000;
const lookMs = 10;

/** Returns before each piece, when nobody is being answered, or it has waited for too long. */
export function behind(isAnswering: () => boolean, now: () => number): () => Promise<void> {
  const latest = now() + latestMs;
  return async () => {
    while (isAnswering() && now() < latest) await delay(lookMs);
  };
}

/** @throws BASE_MISMATCH if files of the base were changed meanwhile; UNAVAILABLE for a full disk */
export async function writeKept(
  model: LoadedBase,
  { base, stamp, header }: Unkept,
  folder: string,
  beforePiece: () => Promise<void>,
): Promise<void> {
  const files = trainedFiles(base, header.trainable, (name) => model.read(name));
  await wholeFolder(base, header, folder, await writeFiles(folder, inPieces(files, beforePiece)));
  if ((await stampOf(base)) === stamp) return;
  throw new SteplogError("BASE_MISMATCH", `Files of ${base.path} changed while a checkpoint of it was written.`);
}

async function* inPieces(
  files: AsyncIterable<OutputFile>,
  beforePiece: () => Promise<void>,
): AsyncGenerator<OutputFile> {
  for await (const { name, bytes } of files) yield { name, bytes: cut(bytes, beforePiece) };
}

async function* cut(bytes: AsyncIterable<Uint8Array>, beforePiece: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      await beforePiece();
      yield chunk.subarray(at, at + pieceBytes);
    }
  }
}
