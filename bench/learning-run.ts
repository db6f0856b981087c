/** One run of a learning benchmark, as a worker does it, and what it had learned by which forward pass and second. */
import type { Device } from "../engine/devices/device.ts";
import type { EngineMessage, FineTuneRequest } from "../engine/thread/messages.ts";
import { runFineTune } from "../engine/train/run.ts";
import { asSteplogError } from "../schema/errors.ts";
import type { RunCounts } from "../schema/estimate.ts";
import { memory, resetPeak } from "./measure.ts";

/** The validation rows at a step. */
export interface Point {
  readonly step: number;
  /** Of a batch, until then: those of AUTO and of the steps. */
  readonly passes: number;
  /** Wall time until then, from reading the rows; without evaluations and checkpoints. */
  readonly seconds: number;
  /** The processor time of the same, all threads. */
  readonly cpuSeconds: number;
  readonly accuracy: number | null;
  readonly loss: number;
}

export interface LearningRun {
  readonly seed: number;
  /** As given or picked. */
  readonly learningRate: number;
  readonly steps: number;
  readonly points: readonly Point[];
  /** Accuracy on the test rows at the best evaluation; null without such rows. */
  readonly test: number | null;
  /** Resident MB with the model loaded, and at the peak of the steps; null but for the first run of a process, without AUTO. */
  readonly memory: { readonly loaded: number; readonly peak: number } | null;
  /** DONE, or the code of the error that ended it. */
  readonly ended: string;
}

/** A run that diverges is recorded up to there. @throws SteplogError for one that fails for another reason */
export async function recordRun(request: FineTuneRequest, device: Device, counts: RunCounts): Promise<LearningRun> {
  const recorder = new Recorder(request, counts);
  try {
    for await (const message of runFineTune(request, device, () => false)) recorder.take(message);
  } catch (error) {
    const { code } = asSteplogError(error);
    if (code !== "LOSS_NOT_FINITE") throw error;
    recorder.fail(code);
  }
  return recorder.run;
}

/** Later runs find memory that an earlier one has left. */
let isFirst = true;

class Recorder {
  readonly #request: FineTuneRequest;
  readonly #counts: RunCounts;
  readonly #clock = new Clock();
  readonly #points: Point[] = [];
  readonly #measuresMemory: boolean;
  #memory = { loaded: NaN, peak: NaN };
  #learningRate: number;
  #step = 0;
  #test: number | null = null;
  #ended = "DONE";

  constructor(request: FineTuneRequest, counts: RunCounts) {
    this.#request = request;
    this.#counts = counts;
    this.#learningRate = Number(request.hyperparameters.learningRate);
    // The passes of AUTO precede the first message.
    this.#measuresMemory = isFirst && request.hyperparameters.learningRate !== "AUTO";
    isFirst = false;
  }

  take(message: EngineMessage): void {
    this.#clock.mark(message.type === "began" || message.type === "step");
    if (message.type === "began") this.#begin(message.pickedRate);
    if (message.type === "step") this.#step = message.step;
    if (message.type === "step") this.#memory.peak = Math.max(this.#memory.peak, memory().peak);
    if (message.type === "diverged") this.#ended = "DIVERGED";
    if (message.type !== "evaluation") return;
    if (message.kind === "VALIDATION") this.#points.push(this.#pointOf(message));
    if (message.kind === "TEST") this.#test = message.accuracy;
    resetPeak();
  }

  fail(code: string): void {
    this.#ended = code;
  }

  get run(): LearningRun {
    return {
      seed: this.#request.hyperparameters.seed,
      learningRate: this.#learningRate,
      steps: this.#step,
      points: this.#points,
      test: this.#test,
      memory: this.#measuresMemory ? this.#memory : null,
      ended: this.#ended,
    };
  }

  #begin(pickedRate: number | null): void {
    this.#learningRate = pickedRate ?? this.#learningRate;
    const { now } = memory();
    this.#memory = { loaded: now, peak: now };
  }

  #pointOf({ accuracy, loss }: Pick<Point, "accuracy" | "loss">): Point {
    const { probes, steps } = this.#counts;
    const share = this.#step / this.#request.hyperparameters.steps;
    const passes = probes.passes + Math.round(share * steps.passes);
    const { seconds, cpuSeconds } = this.#clock;
    return { step: this.#step, passes, seconds, cpuSeconds, accuracy, loss };
  }
}

/** Time that counts, between marks. */
class Clock {
  seconds = 0;
  cpuSeconds = 0;
  #wall = performance.now();
  #cpu = process.cpuUsage();

  mark(counts: boolean): void {
    const [wall, cpu] = [performance.now(), process.cpuUsage()];
    if (counts) {
      this.seconds += (wall - this.#wall) / 1e3;
      this.cpuSeconds += (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1e6;
    }
    [this.#wall, this.#cpu] = [wall, cpu];
  }
}
