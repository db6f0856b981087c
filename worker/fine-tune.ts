/**
 * A fine-tune from its request to its last checkpoint, as a sequence of messages; nothing here writes to the store.
 *
 *   began -> [evaluation at 0] -> step ... step -> [evaluation, checkpoint] -> ... -> evaluation -> checkpoint -> done
 *
 * A request that brings entries goes on after them: the weights are replayed to where the log ends. A request to stop is
 * honoured between two steps and ends with a checkpoint as well, so that the log and the weights end together.
 */
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { encodeRows } from "../dataset/encode.ts";
import { readRows } from "../dataset/jsonl.ts";
import type { Row } from "../dataset/jsonl.ts";
import type { Tokenizer } from "../dataset/tokenizer.ts";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import { SteplogError } from "../schema/errors.ts";
import type { TrainableTensor } from "../schema/step-log.ts";
import { encodeHeader } from "../schema/step-log.ts";
import { adapterFiles } from "../engine/adapter.ts";
import type { Device, Precision } from "../engine/devices/device.ts";
import type { ValidationSet } from "../engine/evaluate.ts";
import { evaluate, prepareValidation } from "../engine/evaluate.ts";
import type { MezoSettings } from "../engine/mezo.ts";
import { logHeader, train } from "../engine/mezo.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import { openModelFolder } from "../engine/model/folder.ts";
import { keptBaseHash } from "../engine/model/hashes.ts";
import type { SeededAdapter } from "../engine/model/lora.ts";
import { seededAdapter, targetedModules } from "../engine/model/lora.ts";
import type { Model } from "../engine/model/model.ts";
import { chosenTensors, headTensors, loadModel } from "../engine/model/model.ts";
import { writeFiles } from "../engine/model/shards.ts";
import { trainedFiles } from "../engine/replay.ts";
import { wholeFolder } from "./materialise.ts";
import type { EngineMessage, FineTuneRequest } from "./messages.ts";

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
  const tokenizer = await loadOptionalTokenizer(folder.path);
  const settings = settingsOf(request);
  const precision = precisionOf(request, device);
  const { rows, validation } = await readData(request, folder, tokenizer);

  const trained = trainedBy(request, folder);
  const adapter = trained.adapter ?? null;
  const model = await loadModel(folder, device, settings.noise, { precision, ...trained });
  yield { type: "began", headerBytes: encodeHeader(logHeader(base, model, settings, adapter?.lora)) };
  if (request.entries.length > 0) {
    model.update(request.entries);
    yield { type: "note", event: "RESUMED", message: `Replayed ${request.stepsDone} steps from the log.` };
  }

  let place = { entries: request.entries.length, step: request.stepsDone };
  const evaluation = async function* (): AsyncGenerator<EngineMessage> {
    if (!validation || request.evaluated.includes(place.entries)) return;
    yield { type: "evaluation", ...place, ...(await evaluate(model, validation)) };
  };
  if (place.step === 0) yield* evaluation();

  let started = performance.now();
  const { evaluateEvery, checkpointEvery, steps } = request.hyperparameters;
  const checkpoint = async (weightsDir: string | null): Promise<EngineMessage> => {
    const files = weightsDir === null ? [] : await writeTrained(model, adapter, weightsDir);
    return { type: "checkpoint", ...place, digest: await model.digest(), files };
  };
  if (!stopping()) {
    for await (const step of train(model, rows, settings, place)) {
      place = { entries: place.entries + step.entries.length, step: step.step };
      yield { type: "step", ...step, seconds: (performance.now() - started) / 1000 };
      if (place.step < steps && isEvery(evaluateEvery, place.step)) yield* evaluation();
      if (place.step < steps && isEvery(checkpointEvery, place.step)) yield await checkpoint(null);
      if (stopping()) break;
      started = performance.now();
    }
  }
  const finished = place.step >= steps;
  if (finished) yield* evaluation();
  if (place.step > 0) yield await checkpoint(finished ? request.weightsDir : null);
  yield { type: finished ? "done" : "stopped" };
}

function isEvery(interval: number, step: number): boolean {
  return interval > 0 && step % interval === 0;
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
function trainedBy({ hyperparameters }: FineTuneRequest, folder: ModelFolder): Trained {
  const { method, tensors, loraRank: rank, loraAlpha: alpha, loraTargets, seed } = hyperparameters;
  if (method === "LORA") {
    return { adapter: seededAdapter(targetedModules(folder.architecture, loraTargets), { rank, alpha, seed }) };
  }
  if (method === "HEAD") return { trainable: headTensors(folder) };
  return tensors.length > 0 ? { trainable: chosenTensors(folder, tensors) } : {};
}

type Trained =
  | { readonly adapter: SeededAdapter }
  | { readonly adapter?: never; readonly trainable?: TrainableTensor[] };

function settingsOf({ hyperparameters }: FineTuneRequest): MezoSettings {
  return { ...hyperparameters, noise: hyperparameters.noise === "NORMAL" ? "normal" : "rademacher" };
}

async function readData(request: FineTuneRequest, folder: ModelFolder, tokenizer: Tokenizer | null) {
  const bounds = folder.architecture;
  const { labelWords } = request;
  const encode = async (path: string) => {
    const source: Row[] = [];
    const keep = async function* () {
      for await (const numbered of readRows(createReadStream(path))) {
        source.push(numbered.row);
        yield numbered;
      }
    };
    const encoded = await encodeRows({ tokenizer, bounds, rows: keep(), labelWords });
    return { source, encoded };
  };
  const { encoded: rows } = await encode(request.datasetPath);
  let validation: ValidationSet | null = null;
  if (request.validationPath !== null) {
    const { source, encoded } = await encode(request.validationPath);
    const pairs = encoded.flatMap((value, index) => {
      const row = source[index];
      return row ? [{ row, encoded: value }] : [];
    });
    validation = prepareValidation(tokenizer, pairs, labelWords);
  }
  return { rows, validation };
}

/** The weights as they were trained, not rebuilt, in the folder that a rebuild would give. Its paths. */
async function writeTrained(model: Model, adapter: SeededAdapter | null, weightsDir: string): Promise<string[]> {
  const { folder, trainable } = model;
  const files = adapter
    ? adapterFiles(folder, adapter, ({ name }) => model.read(name))
    : trainedFiles(folder, trainable, (name) => model.read(name));
  const header = { trainable: [...trainable], ...(adapter && { lora: adapter.lora }) };
  return wholeFolder(folder, header, weightsDir, await writeFiles(weightsDir, files));
}
