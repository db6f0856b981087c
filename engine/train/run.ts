/**
 * A fine-tune from its request to its last checkpoint, as a sequence of messages; nothing here writes to the store.
 *
 *   began, note?                                    the log's header; the rate that AUTO chose
 *   memory?                                         after the first validation, with steps now and then, and after the last
 *   note*, evaluation*                              replayed the log, no end of turn; validation rows, baselines before step 1
 *   (step, checkpoint?, evaluation?, checkpoint?)*  a checkpoint for the best evaluation so far, and every checkpointEvery
 *   diverged?                                       once seen, between any two of these; the run ends then, unless it goes on
 *   evaluation?, checkpoint, note?, evaluation?     the end: validation, last checkpoint, why it ended early, test rows;
 *                                                   also when its time (maxSeconds) is over, which is seen after a step
 *   done | kept?, stopped                           the weights of a run that gives way, in a file
 *
 * A request that brings log entries resumes after them. A request to stop takes effect before the next pass, and what was
 * measured since the last step or evaluation is thrown away; one to leave, after the next step. It ends with a checkpoint too, so that the log and the weights
 * end at the same step.
 */
import { asDiskError, asSteplogError } from "../../schema/errors.ts";
import { GrowingEntries } from "../../schema/log-entries.ts";
import { encodeHeader } from "../../schema/step-log.ts";
import type { Device } from "../devices/device.ts";
import type { AnySeededAdapter } from "../model/adapters/all.ts";
import { writeFiles } from "../model/files/shards.ts";
import type { Model } from "../model/model.ts";
import { adapterFiles } from "../replay/adapter-files.ts";
import { wholeFolder } from "../replay/rebuild.ts";
import { trainedFiles } from "../replay/replay.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import { unwatchedCalls } from "../thread/foreign.ts";
import type { EngineMessage, EvaluationMessage, FineTuneRequest } from "../thread/messages.ts";
import type { StopCheck } from "../thread/stopping.ts";
import { Stopped, stopCheck } from "../thread/stopping.ts";
import { DivergenceWatch } from "./divergence.ts";
import { EvaluationSchedule, isMultiple } from "./evaluation-schedule.ts";
import { keepWeights } from "./kept-weights.ts";
import type { MemoryGauge } from "./memory-readings.ts";
import { MemoryReadings } from "./memory-readings.ts";
import type { RunPosition } from "./mezo.ts";
import { tokensOfStep, train } from "./mezo.ts";
import type { PreparedRun } from "./prepare.ts";
import { prepareRun } from "./prepare.ts";
import { TrainingTime } from "./training-time.ts";
import type { WarmInputs } from "./warm-inputs.ts";
import { counted } from "../../schema/units.ts";

/** What a worker has around a run. */
export interface RunSurroundings {
  readonly calls?: ForeignCalls;
  /** Waited for between two passes. */
  readonly between?: (() => Promise<void>) | undefined;
  /** Whether the run gives way to others when it stops. */
  readonly leaving?: () => boolean;
  readonly gauge?: MemoryGauge | null;
  readonly warm?: WarmInputs;
}

/** @throws SteplogError for a base model, dataset or loss that training cannot continue with; the worker fails the run */
export async function* runFineTune(
  request: FineTuneRequest,
  device: Device,
  stopping: () => boolean,
  { calls = unwatchedCalls, between, leaving = () => false, gauge = null, warm }: RunSurroundings = {},
): AsyncGenerator<EngineMessage> {
  const check = stopCheck(stopping, between);
  const prepared = await prepareRun(request, device, check, calls, warm).catch(nullIfStopped);
  if (!prepared) {
    yield { type: "stopped" };
    return;
  }
  const { header, pickedRate, replaySeconds } = prepared;
  yield { type: "began", headerBytes: encodeHeader(header), pickedRate, replaySeconds };
  if (prepared.pickedWhy) yield { type: "note", event: "LEARNING_RATE", message: prepared.pickedWhy };
  yield* new Run(request, prepared, check, new MemoryReadings(gauge)).messages(stopping, leaving);
}

function nullIfStopped(error: unknown): null {
  if (error instanceof Stopped) return null;
  throw error;
}

class Run {
  readonly #request: FineTuneRequest;
  readonly #prepared: PreparedRun;
  readonly #check: StopCheck;
  readonly #evaluations: EvaluationSchedule;
  readonly #watch: DivergenceWatch;
  readonly #time: TrainingTime;
  readonly #memory: MemoryReadings;
  /** The whole log, packed, if the test rows may need the weights of an earlier step. */
  readonly #log: GrowingEntries | null;
  /** Entries that the request brought. */
  readonly #replayed: number;
  #position: RunPosition;
  #lastCheckpoint: RunPosition | null = null;
  #toldDivergence = false;

  constructor(request: FineTuneRequest, prepared: PreparedRun, check: StopCheck, memory: MemoryReadings) {
    this.#request = request;
    this.#prepared = prepared;
    this.#check = check;
    this.#memory = memory;
    this.#evaluations = new EvaluationSchedule(prepared.data, request);
    this.#watch = watchFrom(request);
    this.#time = new TrainingTime(request.trainedSeconds ?? 0);
    this.#log = request.testPath === null ? null : new GrowingEntries(request.entries);
    this.#replayed = request.entries.scalars.length / 2;
    this.#position = { entries: this.#replayed, step: request.stepsDone };
  }

  async *messages(stopping: () => boolean, leaving: () => boolean): AsyncGenerator<EngineMessage> {
    try {
      yield* this.#whole(stopping, leaving);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      const { step } = this.#position;
      if (step > 0 && this.#lastCheckpoint?.step !== step) yield await this.#checkpoint(null);
      yield { type: "stopped" };
    }
  }

  async *#whole(stopping: () => boolean, leaving: () => boolean): AsyncGenerator<EngineMessage> {
    const { steps } = this.#request.hyperparameters;
    yield* this.#start();
    yield* this.#divergence();
    if (!stopping() && !this.#isOver) yield* this.#train(() => stopping() || leaving());
    const complete = this.#position.step >= steps;
    if (complete || this.#isOutOfTime) yield* this.#validate();
    if (complete || this.#isOver) this.#watch.end();
    yield* this.#divergence();
    const finished = complete || this.#isOver;
    const keeps = finished && !this.#hasDiverged;
    if (this.#position.step > 0) yield await this.#checkpoint(keeps ? this.#request.weightsDir : null);
    if (keeps && !complete) yield this.#whyEarly();
    if (finished) yield* this.#test();
    else if (leaving() && !stopping()) yield await this.#keep();
    yield finished ? { type: "done", overfit: this.#watch.overfit } : { type: "stopped" };
  }

  /** Whether it ends before its last step. */
  get #isOver(): boolean {
    return this.#evaluations.outOfPatience || this.#hasDiverged || this.#isOutOfTime;
  }

  /** A run of any length makes one step, so that it has a checkpoint. */
  get #isOutOfTime(): boolean {
    const { maxSeconds } = this.#request.hyperparameters;
    return maxSeconds > 0 && this.#position.step > 0 && this.#time.total >= maxSeconds;
  }

  /** Whether it ends because it has diverged. */
  get #hasDiverged(): boolean {
    return this.#watch.divergence !== null && this.#request.hyperparameters.whenDiverged !== "GO_ON";
  }

  *#divergence(): Generator<EngineMessage> {
    const { divergence } = this.#watch;
    if (divergence === null || this.#toldDivergence) return;
    this.#toldDivergence = true;
    yield { type: "diverged", divergence };
  }

  /** Measures what is due at the end of the log unless an earlier worker did. */
  async *#start(): AsyncGenerator<EngineMessage> {
    const { stepsDone } = this.#request;
    if (stepsDone > 0) {
      yield { type: "note", event: "RESUMED", message: this.#howResumed(stepsDone) };
    } else if (this.#replayed > 0) {
      const message = `Replayed the ${counted(this.#replayed, "log entry", "log entries")} before the fork.`;
      yield { type: "note", event: "FORKED", message };
    }
    const { endNote } = this.#prepared.data;
    if (stepsDone === 0 && endNote !== null) yield { type: "note", event: "NO_END_OF_TURN", message: endNote };
    if (stepsDone === 0 || this.#evaluations.isDue(stepsDone)) yield* this.#validate();
    if (stepsDone === 0 && this.#request.validationPath !== null) yield* this.#memory.forwardPasses(0);
    if (stepsDone === 0) yield* this.#baselines();
  }

  #howResumed(stepsDone: number): string {
    const steps = counted(stepsDone, "step");
    return this.#prepared.wasKept
      ? `Read the weights after ${steps}, as they were kept.`
      : `Replayed ${steps} from the log.`;
  }

  async *#baselines(): AsyncGenerator<EngineMessage> {
    const { model } = this.#prepared;
    // An adapter that has learned nothing yet does not belong to the base.
    const base = this.#replayed === 0 ? model.bare : model;
    for (const [kind, measured] of [
      ["IN_CONTEXT", base],
      ["TEST", model],
    ] as const) {
      const evaluation = await this.#evaluations.measure(kind, measured, this.#position);
      if (evaluation) yield this.#timed(evaluation);
    }
    const probe = await this.#evaluations.measureProbe(base, this.#position, this.#check.pause);
    if (probe) yield this.#timed(probe);
  }

  async *#train(stopping: () => boolean): AsyncGenerator<EngineMessage> {
    const { model, data, settings } = this.#prepared;
    const { checkpointEvery, steps } = this.#request.hyperparameters;
    for await (const step of train(model, data.objective, settings, this.#position)) {
      this.#log?.add(step.entries);
      this.#position = { entries: this.#position.entries + step.entries.length, step: step.step };
      const tokens = tokensOfStep(data, settings, step.step);
      yield { type: "step", ...step, seconds: this.#time.lap(), tokens };
      this.#watch.addLoss(step.loss);
      if (this.#evaluations.isDue(step.step)) yield* this.#validate();
      yield* this.#divergence();
      if (step.step < steps && isMultiple(step.step, checkpointEvery)) yield await this.#checkpoint(null);
      const ends = stopping() || this.#isOver;
      yield* this.#memory.steps(step.step, ends || step.step === steps, this.#time.total);
      if (ends) return;
    }
  }

  /** The best evaluation gets a checkpoint, which comes first: a recorded evaluation is not repeated after a crash. */
  async *#validate(): AsyncGenerator<EngineMessage> {
    const evaluation = await this.#evaluations.measure("VALIDATION", this.#prepared.model, this.#position);
    if (!evaluation) return;
    const { entries, step } = this.#position;
    const best = this.#evaluations.best?.entries === entries;
    const timed = this.#timed(evaluation);
    if (best && step > 0 && this.#evaluations.isDue(step)) yield await this.#checkpoint(null);
    yield timed;
    this.#watch.addEvaluation(evaluation);
  }

  #timed(evaluation: Omit<EvaluationMessage, "seconds">): EvaluationMessage {
    return { ...evaluation, seconds: this.#time.lap() };
  }

  #whyEarly(): EngineMessage {
    const { patience, maxSeconds, steps } = this.#request.hyperparameters;
    if (this.#isOutOfTime) {
      const message = `Stopped after ${counted(maxSeconds, "second")} of training (maxSeconds), with ${this.#position.step} of ${counted(steps, "step")} done.`;
      return { type: "note", event: "TIME_LIMIT", message };
    }
    const best = `the one at step ${this.#evaluations.best?.step}`;
    const message = `Stopped early: ${patience === 1 ? "the last evaluation was" : `the last ${patience} evaluations were`} no better than ${best}.`;
    return { type: "note", event: "STOPPED_EARLY", message };
  }

  /** Tests the weights of the best evaluation; without evaluations the last ones, unless the run has diverged. */
  async *#test(): AsyncGenerator<EngineMessage> {
    const best = this.#hasDiverged ? this.#watch.divergence?.evaluation : (this.#evaluations.best ?? this.#position);
    if (!best) return;
    const { entries, step } = best;
    if (this.#evaluations.isDone("TEST", entries)) return;
    let { model } = this.#prepared;
    if (this.#log && entries !== this.#position.entries) {
      model.free();
      model = await this.#prepared.load();
      await model.replay(this.#log.first(entries));
    }
    const evaluation = await this.#evaluations.measure("TEST", model, { entries, step });
    if (evaluation) yield this.#timed(evaluation);
  }

  /** Failing to is no failure of the run: then its log is replayed. */
  async #keep(): Promise<EngineMessage> {
    const { kept } = this.#request;
    if (!kept) return { type: "kept", bytes: null, problem: null };
    const place = { run: kept.run, entries: this.#position.entries };
    try {
      return { type: "kept", bytes: await keepWeights(kept, place, this.#prepared.model), problem: null };
    } catch (error) {
      const { message } = asSteplogError(asDiskError(error, `The folder ${kept.folder}`));
      return { type: "kept", bytes: null, problem: message };
    }
  }

  async #checkpoint(weightsDir: string | null): Promise<EngineMessage> {
    const { model, adapter } = this.#prepared;
    const files = weightsDir === null ? [] : await writeTrained(model, adapter, weightsDir);
    this.#lastCheckpoint = this.#position;
    const digest = await model.digest();
    return { type: "checkpoint", ...this.#position, digest, files, seconds: this.#time.lap() };
  }
}

/** As the steps and evaluations that are already recorded leave it: in the order in which they were measured. */
function watchFrom({ hyperparameters, losses, evaluated }: FineTuneRequest): DivergenceWatch {
  const watch = new DivergenceWatch(hyperparameters);
  const validations = evaluated.filter(({ kind }) => kind === "VALIDATION");
  let next = 0;
  for (let step = 0; step <= losses.length; step++) {
    if (step > 0) watch.addLoss(losses[step - 1] ?? NaN);
    for (; (validations[next]?.step ?? Infinity) <= step; next++) {
      const evaluation = validations[next];
      if (evaluation) watch.addEvaluation(evaluation);
    }
  }
  return watch;
}

/** Writes the weights as trained, not rebuilt, into the folder that a rebuild would give. Returns the files' paths. */
async function writeTrained(model: Model, adapter: AnySeededAdapter | null, weightsDir: string): Promise<string[]> {
  const { folder, trainable } = model;
  const files = adapter
    ? adapterFiles(folder, adapter, ({ name }) => model.read(name))
    : trainedFiles(folder, trainable, (name) => model.read(name));
  const header = { trainable: [...trainable], ...adapter?.header };
  return wholeFolder(folder, header, weightsDir, await writeFiles(weightsDir, files));
}
