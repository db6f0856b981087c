/**
 * When a run reads how much memory its process takes: after its first evaluation, which is forward passes alone, so that there
 * is something to compare with; then with its steps, now and then. The peak of a reading is of the time since the one before.
 */
import type { MemoryKind } from "../../schema/states.ts";

export interface MemoryGauge {
  /** From now on, what is read is the peak since now. */
  restart(): void;
  readonly read: () => { readonly residentBytes: number; readonly peakBytes: number | null };
}

export interface MemoryMessage {
  readonly type: "memory";
  readonly kind: MemoryKind;
  readonly step: number;
  readonly residentBytes: number;
  readonly peakBytes: number | null;
}

/** Between two readings of steps at least; and this part of the time so far, so that a run of a week has some hundreds of them. */
const everySeconds = 15;
const everyPart = 0.01;

export class MemoryReadings {
  readonly #gauge: MemoryGauge | null;
  #lastAt = performance.now();

  constructor(gauge: MemoryGauge | null) {
    this.#gauge = gauge;
    gauge?.restart();
  }

  *forwardPasses(step: number): Generator<MemoryMessage> {
    yield* this.#read("FORWARD_PASSES", step);
  }

  /**
   * After a step, if the last reading is a while ago; and after the last step in any case.
   * @param trainedSeconds of the whole run so far
   */
  *steps(step: number, isLast: boolean, trainedSeconds: number): Generator<MemoryMessage> {
    const waitMs = 1_000 * Math.max(everySeconds, everyPart * trainedSeconds);
    if (isLast || performance.now() - this.#lastAt >= waitMs) yield* this.#read("STEPS", step);
  }

  *#read(kind: MemoryKind, step: number): Generator<MemoryMessage> {
    if (this.#gauge === null) return;
    this.#lastAt = performance.now();
    yield { type: "memory", kind, step, ...this.#gauge.read() };
    this.#gauge.restart();
  }
}
