/**
 * A fine-tune from its request to its last checkpoint, as a sequence of messages; nothing here writes to the store.
 *
 *   began -> [evaluations at 0] -> step ... step -> [evaluation, checkpoint] -> ... -> evaluation -> checkpoint -> done
 *
 * A request that brings entries goes on after them: the weights are replayed to where the log ends. A request to stop is
 * honoured between two steps and ends with a checkpoint as well, so that the log and the weights end together.
 */
import { basename } from "node:path";
import { SteplogError, invariant } from "../../schema/errors.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { LogEntry, StepLogHeader, TrainableTensor } from "../../schema/step-log.ts";
import { canonicalJson, decodeHeader, encodeHeader } from "../../schema/step-log.ts";
import { adapterFiles } from "../replay/adapter-files.ts";
import type { Device, Precision } from "../devices/device.ts";
import { pickLearningRate } from "./learning-rate.ts";
import type { MezoSettings, Place } from "./mezo.ts";
import { logHeader, train } from "./mezo.ts";
import type { AnySeededAdapter } from "../model/adapters/all.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { keptBaseHash } from "../model/files/hashes.ts";
import { seededLora, targetedModules } from "../model/adapters/lora.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../model/model.ts";
import { chosenTensors, headTensors } from "../model/trainable.ts";
import { seededPrefix } from "../model/adapters/prefix.ts";
import { writeFiles } from "../model/files/shards.ts";
import type { Noise } from "../numbers/noise.ts";
import { trainedFiles } from "../replay/replay.ts";
import type { RunData } from "./data.ts";
import { readData } from "./data.ts";
import { Judge } from "./evaluation-schedule.ts";
import { wholeFolder } from "../replay/rebuild.ts";
import type { EngineMessage, FineTuneRequest } from "../thread/messages.ts";

/** @throws what a base, a dataset or a loss can be refused for; the worker fails the run with it */
export async function* runFineTune(
  request: FineTuneRequest,
  device: Device,
  stopping: () => boolean,
): AsyncGenerator<EngineMessage> {
  const folder = await openModelFolder(request.modelPath);
  const keeper = { folder: request.hashesDir, now: Date.now };
  const base = await keptBaseHash(folder, basename(request.modelPath), keeper);
  if (base !== request.base) throw changedBase(request, base);
  const data = await readData(request, folder);
  const trained = trainedBy(request, folder);
  const precision = precisionOf(request, device);
  const load = () => loadModel(folder, device, noiseOf(request), { precision, ...trained });
  const model = await load();
  const { settings, pickedRate, why } = await settingsOf(request, model, data);
  const adapter = trained.adapter ?? null;
  const header = headerOf(request, logHeader(base, model, settings, adapter?.header));
  yield { type: "began", headerBytes: encodeHeader(header), pickedRate };
  if (why) yield { type: "note", event: "LEARNING_RATE", message: why };
  yield* new Run(request, data, { model, load, adapter, settings }).messages(stopping);
}

interface Trainer {
  readonly model: Model;
  /** The model once more, as it was before training. */
  readonly load: () => Promise<Model>;
  readonly adapter: AnySeededAdapter | null;
  readonly settings: MezoSettings;
}

class Run {
  readonly #request: FineTuneRequest;
  readonly #task: RunData["task"];
  readonly #trainer: Trainer;
  readonly #judge: Judge;
  /** The whole log, where the weights may go back to an earlier place of it; a long one takes its memory. */
  readonly #entries: LogEntry[];
  #place: Place;

  constructor(request: FineTuneRequest, data: RunData, trainer: Trainer) {
    this.#request = request;
    this.#task = data.task;
    this.#trainer = trainer;
    this.#judge = new Judge(data, request);
    this.#entries = request.testPath === null ? [] : [...request.entries];
    this.#place = { entries: request.entries.length, step: request.stepsDone };
  }

  async *messages(stopping: () => boolean): AsyncGenerator<EngineMessage> {
    const { steps } = this.#request.hyperparameters;
    yield* this.#begin();
    if (!stopping() && !this.#judge.hopeless) yield* this.#train(stopping);
    if (this.#place.step >= steps) yield* this.#validate();
    const finished = this.#place.step >= steps || this.#judge.hopeless;
    if (this.#place.step > 0) yield await this.#checkpoint(finished ? this.#request.weightsDir : null);
    if (finished && this.#place.step < steps) yield this.#stoppedEarly();
    if (finished) yield* this.#test();
    yield { type: finished ? "done" : "stopped" };
  }

  /** To where the log ends; and what is measured there, when the worker before did not come to it. */
  async *#begin(): AsyncGenerator<EngineMessage> {
    const { model } = this.#trainer;
    const { entries, stepsDone } = this.#request;
    if (entries.length > 0) {
      model.update(entries);
      yield stepsDone > 0
        ? { type: "note", event: "RESUMED", message: `Replayed ${stepsDone} steps from the log.` }
        : { type: "note", event: "FORKED", message: `Replayed the ${entries.length} entries that it goes on from.` };
    }
    if (stepsDone === 0 || this.#isEvaluated(stepsDone)) yield* this.#validate();
    if (stepsDone > 0) return;
    // A prefix that has learned nothing yet is no part of the base.
    const base = entries.length === 0 ? model.bare : model;
    for (const [kind, of] of [
      ["IN_CONTEXT", base],
      ["TEST", model],
    ] as const) {
      const baseline = await this.#judge.measure(kind, of, this.#place);
      if (baseline) yield baseline;
    }
    const probe = await this.#judge.measureProbe(base, this.#place);
    if (probe) yield probe;
  }

  async *#train(stopping: () => boolean): AsyncGenerator<EngineMessage> {
    const { model, settings } = this.#trainer;
    const { checkpointEvery, steps } = this.#request.hyperparameters;
    let started = performance.now();
    for await (const step of train(model, this.#task, settings, this.#place)) {
      if (this.#request.testPath !== null) this.#entries.push(...step.entries);
      this.#place = { entries: this.#place.entries + step.entries.length, step: step.step };
      yield { type: "step", ...step, seconds: (performance.now() - started) / 1000 };
      if (this.#isEvaluated(step.step)) yield* this.#validate();
      if (step.step < steps && isEvery(checkpointEvery, step.step)) yield await this.#checkpoint(null);
      if (stopping() || this.#judge.hopeless) return;
      started = performance.now();
    }
  }

  #isEvaluated(step: number): boolean {
    const { evaluateEvery, steps } = this.#request.hyperparameters;
    return step < steps && isEvery(evaluateEvery, step);
  }

  /** The best place gets a checkpoint. It comes first: an evaluation that is recorded is not measured again. */
  async *#validate(): AsyncGenerator<EngineMessage> {
    const evaluation = await this.#judge.measure("VALIDATION", this.#trainer.model, this.#place);
    if (!evaluation) return;
    const best = this.#judge.best?.entries === this.#place.entries;
    if (best && this.#isEvaluated(this.#place.step) && this.#place.step > 0) yield await this.#checkpoint(null);
    yield evaluation;
  }

  #stoppedEarly(): EngineMessage {
    const { patience } = this.#request.hyperparameters;
    const since = `The last ${patience} evaluations are no better than the one at step ${this.#judge.best?.step}`;
    return { type: "note", event: "STOPPED_EARLY", message: `${since}: the run ends here.` };
  }

  /** At the best place of the run, to which the weights are taken back, or where it ends if nothing says what is best. */
  async *#test(): AsyncGenerator<EngineMessage> {
    const place = this.#judge.best ?? this.#place;
    if (this.#judge.isDone("TEST", place.entries)) return;
    let { model } = this.#trainer;
    if (place.entries !== this.#place.entries) {
      model.free();
      model = await this.#trainer.load();
      model.update(this.#entries.slice(0, place.entries));
    }
    const test = await this.#judge.measure("TEST", model, { entries: place.entries, step: place.step });
    if (test) yield test;
  }

  async #checkpoint(weightsDir: string | null): Promise<EngineMessage> {
    const { model, adapter } = this.#trainer;
    const files = weightsDir === null ? [] : await writeTrained(model, adapter, weightsDir);
    return { type: "checkpoint", ...this.#place, digest: await model.digest(), files };
  }
}

function isEvery(interval: number, step: number): boolean {
  return interval > 0 && step % interval === 0;
}

/** A run that goes on from another's checkpoint goes on with its log. @throws INVALID_STATE when it trains something else */
function headerOf({ fork }: FineTuneRequest, own: StepLogHeader): StepLogHeader {
  if (!fork) return own;
  const header = decodeHeader(fork.headerBytes);
  const trains = ({ base, trainable, noise, lora, prefix }: StepLogHeader) =>
    canonicalJson({ base, trainable, noise, lora: lora ?? null, prefix: prefix ?? null });
  if (trains(header) === trains(own)) return header;
  throw new SteplogError(
    "INVALID_STATE",
    "The run would train other tensors, or with other noise, than the log that it goes on from. Its base model or its " +
      "version differs from the first worker's.",
  );
}

function changedBase(request: FineTuneRequest, seen: string): SteplogError {
  return new SteplogError(
    "BASE_MISMATCH",
    `The base model was registered as ${request.base}, and its folder now is ${seen}. Put the registered files back, or add the changed model under another name.`,
  );
}

/** @throws DEVICE_UNAVAILABLE when the device does not multiply so */
function precisionOf({ hyperparameters }: FineTuneRequest, device: Device): Precision {
  const precision = hyperparameters.precision === "BFLOAT16" ? "bfloat16" : "float32";
  if (device.precisions.includes(precision)) return precision;
  throw new SteplogError(
    "DEVICE_UNAVAILABLE",
    `The run asks for precision BFLOAT16, and this worker's device (${device.description}) multiplies in ${device.precisions.join(", ")}. ` +
      "Create it with precision FLOAT32, or start a worker on a processor with AVX-512 BF16 or AMX.",
  );
}

/** What the run's method trains. @throws INVALID_ARGUMENT naming a pattern that fits nothing of the model */
function trainedBy({ hyperparameters, fork }: FineTuneRequest, folder: ModelFolder): Trained {
  const { method, tensors, loraRank: rank, loraAlpha: alpha, loraTargets, prefixLength } = hyperparameters;
  const seed = fork ? decodeHeader(fork.headerBytes).seed : hyperparameters.seed;
  if (method === "LORA") {
    return { adapter: seededLora(targetedModules(folder.architecture, loraTargets), { rank, alpha, seed }) };
  }
  if (method === "PREFIX") return { adapter: seededPrefix(folder, prefixLength, seed) };
  if (method === "HEAD") return { trainable: headTensors(folder) };
  return tensors.length > 0 ? { trainable: chosenTensors(folder, tensors) } : {};
}

type Trained =
  | { readonly adapter: AnySeededAdapter }
  | { readonly adapter?: never; readonly trainable?: TrainableTensor[] };

function noiseOf({ hyperparameters }: FineTuneRequest): Noise {
  return hyperparameters.noise === "NORMAL" ? "normal" : "rademacher";
}

/** The settings with a learning rate: as it was given, or as AUTO picked it, now or when the run began; `why` when now. */
async function settingsOf(request: FineTuneRequest, model: Model, { task }: RunData) {
  const { learningRate, ...rest } = request.hyperparameters;
  const { fork } = request;
  const log = fork && { logSeed: decodeHeader(fork.headerBytes).seed, firstStep: fork.firstStep };
  const settings = { ...rest, noise: noiseOf(request), ...log };
  if (learningRate !== "AUTO") return { settings: { ...settings, learningRate }, pickedRate: null, why: null };
  const before = request.pickedRate;
  if (before !== null) return { settings: { ...settings, learningRate: before }, pickedRate: before, why: null };
  const picked = await pickLearningRate(model, task, settings);
  const rate = picked?.learningRate ?? defaultRate(request);
  const why = picked
    ? `AUTO takes the learning rate ${rate}: ${picked.why}.`
    : `The first losses do not differ or are not finite, so AUTO takes the method's default, ${rate}.`;
  return { settings: { ...settings, learningRate: rate }, pickedRate: rate, why };
}

function defaultRate({ hyperparameters: { method } }: FineTuneRequest): number {
  const { learningRate } = hyperparametersSchema.parse({ method });
  invariant(learningRate !== "AUTO", "the default rate is a number");
  return learningRate;
}

/** The weights as they were trained, not rebuilt, in the folder that a rebuild would give. Its paths. */
async function writeTrained(model: Model, adapter: AnySeededAdapter | null, weightsDir: string): Promise<string[]> {
  const { folder, trainable } = model;
  const files = adapter
    ? adapterFiles(folder, adapter, ({ name }) => model.read(name))
    : trainedFiles(folder, trainable, (name) => model.read(name));
  const header = { trainable: [...trainable], ...adapter?.header };
  return wholeFolder(folder, header, weightsDir, await writeFiles(weightsDir, files));
}
