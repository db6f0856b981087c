/** Everything before a run's first step: checks the base, reads the data, loads the model, replays its log, fills in the settings. */
import { basename } from "node:path";
import { SteplogError } from "../../schema/errors.ts";
import type { StepLogHeader, TrainableTensor } from "../../schema/step-log.ts";
import { canonicalJson, decodeHeader, unpackEntries } from "../../schema/step-log.ts";
import type { Device, Precision } from "../devices/device.ts";
import type { AnySeededAdapter } from "../model/adapters/all.ts";
import { seededLora, targetedModules } from "../model/adapters/lora.ts";
import { seededPrefix } from "../model/adapters/prefix.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { keptBaseHash } from "../model/files/hashes.ts";
import type { LoadOptions, Model } from "../model/model.ts";
import { loadModel } from "../model/model.ts";
import { chosenTensors, headTensors, trainableTensors } from "../model/trainable.ts";
import type { Noise } from "../numbers/noise.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import type { FineTuneRequest } from "../thread/messages.ts";
import type { StopCheck } from "../thread/stopping.ts";
import { Stopped } from "../thread/stopping.ts";
import type { RunData } from "./data.ts";
import { readData } from "./data.ts";
import { findKept, forgetKept } from "./kept-weights.ts";
import { pickLearningRate, usualRate } from "./learning-rate.ts";
import { logHeader } from "./log-header.ts";
import type { MezoSettings } from "./settings.ts";
import type { WarmInputs } from "./warm-inputs.ts";

export interface PreparedRun {
  readonly data: RunData;
  /** As the log leaves it. */
  readonly model: Model;
  /** Loads the model again, as it was before training. */
  readonly load: () => Promise<Model>;
  readonly adapter: AnySeededAdapter | null;
  readonly settings: MezoSettings;
  readonly header: StepLogHeader;
  /** The learning rate that AUTO chose, now or when the run started; null if it was given. */
  readonly pickedRate: number | null;
  /** Why AUTO chose it, if it did so now. */
  readonly pickedWhy: string | null;
  /** How long the replay of the log took; 0 without one. */
  readonly replaySeconds: number;
  /** Whether its weights were kept here, so that nothing was replayed. */
  readonly wasKept: boolean;
}

/** @throws Stopped; BASE_MISMATCH, DEVICE_UNAVAILABLE, DATASET_INVALID, INVALID_ARGUMENT, INVALID_STATE */
export async function prepareRun(
  request: FineTuneRequest,
  device: Device,
  check: StopCheck,
  calls: ForeignCalls,
  warm?: WarmInputs,
): Promise<PreparedRun> {
  const folder = await openModelFolder(request.modelPath, check.now);
  const base = await keptBaseHash(
    folder,
    basename(request.modelPath),
    { folder: request.hashesDir, now: Date.now },
    check.now,
  );
  refuseOtherBase(request, base);
  const data = await readData(request, folder, check, calls, warm);
  const trained = trainedBy(request, folder);
  const precision = precisionOf(request, device);
  const load = (start: LoadOptions["start"] = null) =>
    loadModel(folder, device, noiseOf(request), { precision, beforePass: check.pause, start, ...trained });
  const trainable = trained.adapter?.tensors ?? trained.trainable ?? trainableTensors(folder);
  const adapter = trained.adapter ?? null;
  refuseOtherLog(request, { base, trainable, noise: noiseOf(request), ...adapter?.header });
  const kept = await keptModel(request, trainable, load);
  const model = kept ?? (await load());
  const replaySeconds = kept ? 0 : await replayed(request, model);
  const { learningRate, picked, why } = await learningRateOf(request, model, data);
  const settings = { ...settingsOf(request), learningRate };
  const header = request.fork
    ? decodeHeader(request.fork.headerBytes)
    : logHeader(base, model, settings, adapter?.header);
  return {
    data,
    model,
    load,
    adapter,
    settings,
    header,
    pickedRate: picked,
    pickedWhy: why,
    replaySeconds,
    wasKept: kept !== null,
  };
}

/**
 * The model with the weights that the run had when it gave way here; null when there are none, or others. Whichever it is, the
 * file is not needed any more.
 */
async function keptModel(
  { kept, entries }: FineTuneRequest,
  trainable: readonly TrainableTensor[],
  load: (start: LoadOptions["start"]) => Promise<Model>,
): Promise<Model | null> {
  if (!kept || kept.digest === null) return null;
  const place = { run: kept.run, entries: entries.scalars.length / 2 };
  const start = await findKept(kept, place, trainable);
  if (!start) return null;
  const model = await load(start).catch(nullUnlessStopped);
  await forgetKept(kept, place);
  if (model && (await model.digest()) === kept.digest) return model;
  model?.free();
  return null;
}

/** A copy that cannot be read is none. */
function nullUnlessStopped(error: unknown): null {
  if (error instanceof Stopped) throw error;
  return null;
}

async function replayed({ entries }: FineTuneRequest, model: Model): Promise<number> {
  const started = performance.now();
  await model.replay(unpackEntries(entries));
  return entries.scalars.length === 0 ? 0 : (performance.now() - started) / 1_000;
}

/** @throws BASE_MISMATCH */
export function refuseOtherBase({ base }: { readonly base: string }, seen: string): void {
  if (base === seen) return;
  throw new SteplogError(
    "BASE_MISMATCH",
    `The base model was registered as ${base}, but its folder is now ${seen}. Restore the registered files, or add the changed model under another name.`,
  );
}

type MethodRequest = Pick<FineTuneRequest, "hyperparameters" | "fork">;

type Trained =
  | { readonly adapter: AnySeededAdapter; readonly trainable?: never }
  | { readonly adapter?: never; readonly trainable?: TrainableTensor[] };

/** What the run's method trains. @throws INVALID_ARGUMENT naming a pattern that matches no tensor of the model */
export function trainedBy({ hyperparameters, fork }: MethodRequest, folder: ModelFolder): Trained {
  const { method, tensors, loraRank: rank, loraAlpha: alpha, loraTargets, prefixLength } = hyperparameters;
  const seed = fork ? decodeHeader(fork.headerBytes).seed : hyperparameters.seed;
  if (method === "LORA") {
    return { adapter: seededLora(targetedModules(folder.architecture, loraTargets), { rank, alpha, seed }) };
  }
  if (method === "PREFIX") return { adapter: seededPrefix(folder, prefixLength, seed) };
  if (method === "HEAD") return { trainable: headTensors(folder) };
  return tensors.length > 0 ? { trainable: chosenTensors(folder, tensors) } : {};
}

/** @throws DEVICE_UNAVAILABLE if the device does not support the run's precision */
function precisionOf({ hyperparameters }: FineTuneRequest, device: Device): Precision {
  const precision = hyperparameters.precision === "BFLOAT16" ? "bfloat16" : "float32";
  if (device.precisions.includes(precision)) return precision;
  throw new SteplogError(
    "DEVICE_UNAVAILABLE",
    `The run needs precision BFLOAT16, but this worker's device (${device.description}) supports ${device.precisions.join(", ")} only. ` +
      "Create the run with precision FLOAT32, or start a worker on a processor with AVX-512 BF16 or AMX.",
  );
}

function noiseOf({ hyperparameters }: MethodRequest): Noise {
  return hyperparameters.noise === "NORMAL" ? "normal" : "rademacher";
}

/** All but the learning rate, which AUTO chooses by means of the others. */
export function settingsOf(request: MethodRequest): Omit<MezoSettings, "learningRate"> {
  const { fork, hyperparameters } = request;
  const log = fork && { logSeed: decodeHeader(fork.headerBytes).seed, firstStep: fork.firstStep };
  return { ...hyperparameters, noise: noiseOf(request), ...log };
}

/** The learning rate as given, or as AUTO chooses it now (`why`) or chose it when the run started. */
async function learningRateOf(request: FineTuneRequest, model: Model, { objective }: RunData) {
  const { learningRate } = request.hyperparameters;
  if (learningRate !== "AUTO") return { learningRate, picked: null, why: null };
  const before = request.pickedRate;
  if (before !== null) return { learningRate: before, picked: before, why: null };
  const auto = await pickLearningRate(model, objective, settingsOf(request), request.hyperparameters.method);
  const rate = auto?.learningRate ?? usualRate[request.hyperparameters.method];
  const why = auto
    ? `AUTO chose the learning rate ${rate}: ${auto.why}.`
    : `AUTO chose the method's usual learning rate, ${rate}: the first losses are equal or not finite.`;
  return { learningRate: rate, picked: rate, why };
}

/** What a log trains. */
type Training = Pick<StepLogHeader, "base" | "noise" | "lora" | "prefix"> & {
  readonly trainable: readonly TrainableTensor[];
};

/** A fork continues its parent's log. @throws INVALID_STATE if it would train something else */
function refuseOtherLog({ fork }: FineTuneRequest, own: Training): void {
  const trains = ({ base, trainable, noise, lora, prefix }: Training) =>
    canonicalJson({ base, trainable: [...trainable], noise, lora: lora ?? null, prefix: prefix ?? null });
  if (!fork || trains(decodeHeader(fork.headerBytes)) === trains(own)) return;
  throw new SteplogError(
    "INVALID_STATE",
    "The run would train other tensors, or use other noise, than the log it continues: its base model, or the version of " +
      "this worker, differs from the one that started the log.",
  );
}
