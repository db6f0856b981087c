/**
 * Saves checkpoints that the serving thread answers from memory. The thread writes each to a folder in the background, where the
 * next worker or a later request finds it. If that fails, requests are answered all the same.
 */
import type { CheckpointName, FromServing, ToServing } from "../../engine/thread/serving-messages.ts";
import { keyOf } from "../../engine/thread/serving-messages.ts";
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import type { Log } from "../../schema/log.ts";
import type { KeptFolders } from "./kept-folders.ts";

/** A folder that the thread writes. */
interface Writing {
  done(this: void): void;
  failed(this: void, error: SteplogError): void;
}

export class Keeping {
  readonly #kept: KeptFolders;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #writing = new Map<string, Writing>();
  readonly #all = new Set<Promise<void>>();

  /** @param signal of the worker's end, with which no failure is told */
  constructor(kept: KeptFolders, log: Log, signal: AbortSignal) {
    this.#kept = kept;
    this.#log = log;
    this.#signal = signal;
  }

  /** @param send to the thread that has it in memory */
  begin({ base, chain }: CheckpointName, send: (message: ToServing) => void): void {
    const keeping = this.#keep({ base, chain }, send);
    this.#all.add(keeping);
    void keeping.finally(() => this.#all.delete(keeping));
  }

  written({ failure, ...name }: FromServing & { readonly type: "written" }): void {
    const writing = this.#writing.get(keyOf(name));
    if (failure) writing?.failed(new SteplogError(failure.code, failure.message));
    else writing?.done();
  }

  /** Once the thread has ended: what it was writing is deleted. */
  async end(): Promise<void> {
    for (const { failed } of this.#writing.values()) {
      failed(new SteplogError("UNAVAILABLE", "The serving thread ended while it wrote the checkpoint."));
    }
    await Promise.all(this.#all);
  }

  /** Never rejects. */
  async #keep(model: CheckpointName, send: (message: ToServing) => void): Promise<void> {
    try {
      const folder = await this.#kept.make(model, (partial) => this.#write(model, partial, send));
      send({ type: "kept", ...model, folder });
    } catch (caught) {
      const { code, message } = asSteplogError(caught);
      const what = "A checkpoint answers from memory, but could not be kept in a folder.";
      if (!this.#signal.aborted) this.#log.warn({ ...model, code, error: message }, what);
      send({ type: "kept", ...model, folder: null });
    }
  }

  async #write(model: CheckpointName, folder: string, send: (message: ToServing) => void): Promise<void> {
    const key = keyOf(model);
    try {
      await new Promise<void>((done, failed) => {
        this.#writing.set(key, { done, failed });
        send({ type: "keep", ...model, folder });
      });
    } finally {
      this.#writing.delete(key);
    }
  }
}
