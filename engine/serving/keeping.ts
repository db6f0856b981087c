/**
 * Checkpoints that answer from weights which are in memory alone: the worker is told of each (`replayed`), gives a folder to
 * write it into (`keep`), and says where it is in the end (`kept`). Until then its weights stay, whatever else needs room.
 */
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import type { CheckpointName, FromServing } from "../thread/serving-messages.ts";
import { keyOf } from "../thread/serving-messages.ts";
import { behind, writeKept } from "./kept-copy.ts";
import type { Warm, WarmBase, WarmModels } from "./warm-models.ts";
import { isBase } from "./warm-models.ts";

interface Options {
  readonly send: (message: FromServing) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Whether requests wait, or are being answered. */
  readonly isAnswering: () => boolean;
}

/** A folder that could not be written is tried again so much later, when somebody asks. */
const againMs = 60_000;

export class Keeping {
  readonly #models: WarmModels;
  readonly #options: Options;
  /** Those that the worker was told of and has not answered. */
  readonly #begun = new Map<string, WarmBase>();
  readonly #tried = new WeakMap<Warm, number>();

  constructor(models: WarmModels, options: Options) {
    this.#models = models;
    this.#options = options;
  }

  /** When a request begins. */
  begin(warm: Warm): void {
    const { send, now } = this.#options;
    const { base, chain, unkept } = warm;
    if (!unkept || chain === null || !isBase(warm)) return;
    const { key } = warm;
    if (this.#begun.has(key) || now() - (this.#tried.get(warm) ?? -Infinity) < againMs) return;
    this.#begun.set(key, warm);
    warm.users.add(this);
    send({ type: "replayed", base, chain });
  }

  /** Never rejects. */
  async write({ folder, base, chain }: CheckpointName & { readonly folder: string }): Promise<void> {
    const { send, now, isAnswering } = this.#options;
    const failure = await this.#write({ base, chain }, folder, behind(isAnswering, now)).then(
      () => null,
      (error: unknown) => asSteplogError(error),
    );
    send({ type: "written", base, chain, failure: failure && { code: failure.code, message: failure.message } });
  }

  /** Never rejects. */
  async end({ folder, base, chain }: CheckpointName & { readonly folder: string | null }): Promise<void> {
    const key = keyOf({ base, chain });
    const warm = this.#begun.get(key);
    this.#begun.delete(key);
    if (!warm) return;
    this.#tried.set(warm, this.#options.now());
    // One that has gone already, as others may need its room, leaves the weights where they are.
    if (folder !== null) await this.#models.mapFrom(warm, folder).catch(() => {});
    warm.users.delete(this);
  }

  async #write(name: CheckpointName, folder: string, beforePiece: () => Promise<void>): Promise<void> {
    const warm = this.#begun.get(keyOf(name));
    if (!warm?.unkept) throw new SteplogError("UNAVAILABLE", "The checkpoint is not in memory alone any more.");
    await writeKept(warm.model, warm.unkept, folder, beforePiece);
  }
}
