/** Checkpoints of full weights, brought to folders that the serving thread maps: rebuilt from base and log, one at a time. */
import { constants, copyFile, link, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { ServedModel } from "../../engine/thread/serving-messages.ts";
import type { ThreadDevice } from "../../engine/thread/messages.ts";
import { failureOf } from "../../engine/thread/messages.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { WeightsFile } from "../../schema/tables.ts";
import type { TrainerPlace } from "../../engine/thread/turns.ts";
import { type EngineRun, startEngine, trainerPlaces } from "../engine-run.ts";
import type { Blobs } from "../../store/store.ts";
import type { KeptFolders } from "./kept-folders.ts";

/** A checkpoint that the thread wants as a folder. */
export interface Rebuild {
  readonly model: ServedModel;
  /** Files of its weights, where they are stored; null where they are not. */
  readonly stored: readonly WeightsFile[] | null;
}

export class Rebuilds {
  readonly #blobs: Blobs;
  readonly #kept: KeptFolders;
  readonly #device: ThreadDevice;
  readonly #turns: TrainerPlace | null;
  #last: Promise<unknown> = Promise.resolve();
  #engine: EngineRun | null = null;
  #isOver = false;

  constructor(blobs: Blobs, kept: KeptFolders, device: ThreadDevice, turns: SharedArrayBuffer | null = null) {
    this.#blobs = blobs;
    this.#kept = kept;
    this.#device = device;
    this.#turns = turns && { words: turns, place: trainerPlaces.rebuild };
  }

  /** The checkpoint's folder, if it was made before. */
  async find({ base, checkpoint }: ServedModel): Promise<string | null> {
    return checkpoint && this.#kept.find({ base, chain: checkpoint.chain });
  }

  /**
   * Makes the checkpoint's folder. Nothing to do for a second request for the same.
   * @throws BASE_MISMATCH, MODEL_INVALID, LOG_INVALID, UNAVAILABLE, INTERNAL
   */
  make(rebuild: Rebuild): Promise<string> {
    const made = this.#last.then(() => this.#makeNow(rebuild));
    this.#last = made.catch(() => {});
    return made;
  }

  /** Ends what is being made. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#engine?.end();
  }

  #makeNow({ model, stored }: Rebuild): Promise<string> {
    const { base, checkpoint } = model;
    invariant(checkpoint, "a base is not rebuilt");
    if (this.#isOver) throw stopping();
    return this.#kept.make({ base, chain: checkpoint.chain }, (folder) =>
      stored ? bring(this.#blobs, stored, folder) : this.#rebuild(model, folder),
    );
  }

  async #rebuild({ modelPath, hashesDir, checkpoint }: ServedModel, weightsDir: string): Promise<void> {
    invariant(checkpoint, "a base is not rebuilt");
    const { log, digest } = checkpoint;
    const request = { kind: "MATERIALISE", modelPath, hashesDir, log, digest, weightsDir } as const;
    const engine = startEngine(request, this.#device, { turns: this.#turns });
    this.#engine = engine;
    try {
      for await (const message of engine.messages) {
        if (message.type === "failed") throw failureOf(message);
        if (message.type === "materialised") return;
      }
      throw stopping();
    } finally {
      this.#engine = null;
      await engine.end();
    }
  }
}

function stopping(): SteplogError {
  return new SteplogError("UNAVAILABLE", "The worker stopped while it rebuilt the checkpoint.");
}

/** Files of the store are not copied, and copies are shared where the file system can do that. */
async function bring(blobs: Blobs, stored: readonly WeightsFile[], folder: string): Promise<void> {
  for (const { name, sha256 } of stored) {
    const file = await blobs.local(sha256);
    const path = join(folder, name);
    try {
      if (file.isCopy) await link(file.path, path).catch(() => copyFile(file.path, path, constants.COPYFILE_EXCL));
      else await symlink(file.path, path);
    } finally {
      file.release();
    }
  }
}
