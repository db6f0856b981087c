/**
 * Turns finished steps into acknowledged ones. Steps wait here until the oldest is `appendMs` old, then go into the store
 * together, in one transaction. Whatever else is recorded about the run follows the steps before it. While the store does not
 * answer, the append is retried until the lease must have expired; then the run belongs to whoever claims it next.
 */
import { SteplogError } from "../../schema/errors.ts";
import { appendMs } from "../../schema/limits.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { Chain, packDecays, packScalars } from "../../schema/step-log.ts";
import type { ClaimedJob, Store } from "../../store/store.ts";
import type { StepMessage } from "../../engine/thread/messages.ts";
import { withRetries } from "../with-retries.ts";

/** The most steps that wait while the store does not answer. */
const maxPending = 1_000;

/** Where the log of the run ends when the recorder starts. */
interface LogEnd {
  readonly entries: number;
  readonly chain: Uint8Array | null;
}

export class StepRecorder {
  readonly #store: Pick<Store, "beginLog" | "appendSteps">;
  readonly #job: ClaimedJob;
  readonly #logEnd: LogEnd;
  readonly #onUnwanted: () => void;
  #chain: Chain | null = null;
  #entries: number;
  #pending: StepMessage[] = [];
  #oldest = 0;
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;

  constructor(store: Pick<Store, "beginLog" | "appendSteps">, job: ClaimedJob, logEnd: LogEnd, onUnwanted: () => void) {
    this.#store = store;
    this.#job = job;
    this.#logEnd = logEnd;
    this.#onUnwanted = onUnwanted;
    this.#entries = logEnd.entries;
  }

  /** Acknowledged entries. */
  get entries(): number {
    return this.#entries;
  }

  async begin(headerBytes: Uint8Array, device: string, pickedRate: number | null): Promise<void> {
    const start = Chain.start(headerBytes);
    await this.#store.beginLog(this.#job, { headerBytes, chain: start.hash, device, pickedRate });
    const { chain } = this.#logEnd;
    this.#chain = this.#entries > 0 && chain ? new Chain(chain) : start;
  }

  /** Takes a step, which is acknowledged within `appendMs` and a transaction. Waits when too many steps are pending. */
  async add(step: StepMessage): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (this.#pending.length >= maxPending) await this.flush();
    if (this.#pending.length === 0) this.#oldest = performance.now();
    this.#pending.push(step);
    this.#timer ??= setTimeout(() => this.#flushLater(), appendMs);
    if (performance.now() - this.#oldest >= appendMs) this.#flushLater();
  }

  #flushLater(): void {
    this.flush().catch((error: unknown) => (this.#failure = asError(error)));
  }

  /** Writes the pending steps. @throws LEASE_LOST, UNAVAILABLE */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = this.#flushing.then(() => this.#append());
    return this.#flushing;
  }

  get chain(): Uint8Array {
    if (!this.#chain) throw new SteplogError("INTERNAL", "The log has no header yet.");
    return this.#chain.hash;
  }

  /** Stops the timer; pending steps are not written. */
  abandon(): void {
    clearTimeout(this.#timer);
  }

  async #append(): Promise<void> {
    const steps = this.#pending;
    this.#pending = [];
    if (steps.length === 0) return;
    const chain = new Chain(this.chain);
    const entries = steps.flatMap((step) => step.entries);
    for (const entry of entries) chain.add(entry);
    const batch = {
      firstEntry: this.#entries,
      scalars: packScalars(entries.map(({ scalar }) => scalar)),
      decays: decaysOf(entries),
      chainAfter: chain.hash,
      metrics: steps.map(metricOf),
      tokens: steps.reduce((sum, { tokens }) => sum + tokens, 0),
    };
    const { wanted } = await withRetries(() => this.#store.appendSteps(this.#job, batch));
    this.#chain = chain;
    this.#entries += entries.length;
    if (wanted !== "RUN") this.#onUnwanted();
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function decaysOf(entries: readonly LogEntry[]): Uint8Array | null {
  if (entries.every(({ decay }) => decay === undefined)) return null;
  return packDecays(entries.map(({ decay }) => decay ?? 1));
}

function metricOf({ entries, step, loss, projectedGradient, learningRate, skipped, seconds }: StepMessage) {
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  const zero = skipped === null && entries.every(({ scalar }) => scalar === 0);
  const measured = { loss: finite(loss), projectedGradient: finite(projectedGradient) };
  return { step, ...measured, learningRate, skipped, zero, seconds };
}
