/** Evaluates a base, or a checkpoint as its log rebuilds it, on rows of any dataset: what a run measures there, bit for bit. */
import { basename } from "node:path";
import type { Row } from "../../dataset/jsonl.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { EvaluatedRow } from "../../schema/model-evaluation.ts";
import { keptCharacters, keptRows } from "../../schema/model-evaluation.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import type { Device, Precision } from "../devices/device.ts";
import { adapterOfLog } from "../model/adapters/all.ts";
import type { ModelFolder } from "../model/files/folder.ts";
import { openModelFolder } from "../model/files/folder.ts";
import { forgetHash, keptBaseHash } from "../model/files/hashes.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../model/model.ts";
import type { RowResult } from "../objective/evaluate.ts";
import { evaluateRows } from "../objective/evaluate.ts";
import { wrongDigest } from "../replay/rebuild.ts";
import { matchBase } from "../replay/replay.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import { unwatchedCalls } from "../thread/foreign.ts";
import type { EngineMessage, EvaluateRequest } from "../thread/messages.ts";
import type { StopCheck } from "../thread/stopping.ts";
import { Stopped, stopCheck } from "../thread/stopping.ts";
import { readEvaluation } from "./data.ts";
import { refuseOtherBase } from "./prepare.ts";

/** @throws BASE_MISMATCH, DATASET_INVALID, MODEL_INVALID, LOG_INVALID, DEVICE_UNAVAILABLE; INTERNAL for weights that differ from those trained */
export async function* evaluateModel(
  request: EvaluateRequest,
  device: Device,
  stopping: () => boolean = () => false,
  calls: ForeignCalls = unwatchedCalls,
  between?: () => Promise<void>,
): AsyncGenerator<EngineMessage> {
  let tokens = 0;
  const wrote = () => (tokens += 1);
  const last = await measure(request, device, stopCheck(stopping, between), { calls, wrote }).then(
    (measured) => ({ type: "evaluated", ...measured }) as const,
    (error: unknown) => failedOrStopped(error),
  );
  if (tokens > 0) yield { type: "generated", tokens };
  if (last.type === "failure") throw last.error;
  yield last;
}

function failedOrStopped(error: unknown) {
  return error instanceof Stopped ? ({ type: "stopped" } as const) : ({ type: "failure", error } as const);
}

interface Watching {
  readonly calls: ForeignCalls;
  /** Called for each token that the model writes. */
  readonly wrote: () => void;
}

async function measure(request: EvaluateRequest, device: Device, check: StopCheck, { calls, wrote }: Watching) {
  const folder = await openModelFolder(request.modelPath, check.now);
  const keeper = { folder: request.hashesDir, now: Date.now };
  refuseOtherBase(request, await keptBaseHash(folder, basename(request.modelPath), keeper, check.now));
  const log = request.checkpoint && decodeStepLog(request.checkpoint.log);
  const { labelWords, calibrationPrompt, settings } = request;
  const rules = { ...settings, labelWords, calibrationPrompt, taken: log?.header.prefix?.length ?? 0 };
  const rows = await readEvaluation(request.datasetPath, rules, folder, check, calls);
  const model = await load(request, folder, log, { device, check });
  try {
    const { evaluation, results } = await evaluateRows(model, rows, wrote);
    return {
      measured: evaluation,
      rows: results.slice(0, keptRows).map((one, row) => shown(rows.rows[row], row, one)),
    };
  } finally {
    model.free();
  }
}

function shown(source: Row | undefined, row: number, result: RowResult): EvaluatedRow {
  invariant(source, "a result is of a row");
  const { prompt, expected } = textsOf(source);
  const { answer, right, loss } = result;
  return { row, prompt: cut(prompt), expected: cut(expected), answer: cut(answer), right, loss };
}

/** What is asked and what it should be answered with, as far as a row is text. */
function textsOf(row: Row): { readonly prompt: string | null; readonly expected: string | null } {
  if ("completion" in row) return { prompt: row.prompt, expected: row.completion };
  if (!("messages" in row)) return { prompt: null, expected: null };
  const said = (role: string) => {
    const content = row.messages.findLast((message) => message.role === role)?.content;
    return typeof content === "string" ? content : null;
  };
  return { prompt: said("user"), expected: said("assistant") };
}

/** The end of a long text: of a prompt, what the model answers to. The database takes no NUL, which a model can write. */
function cut(text: string | null): string | null {
  if (text === null) return null;
  const shown = text.length > keptCharacters ? `…${text.slice(-keptCharacters)}` : text;
  return Buffer.from(shown).toString("utf8").replaceAll("\0", "\u{FFFD}");
}

async function load(
  request: EvaluateRequest,
  folder: ModelFolder,
  log: StepLog | null,
  { device, check }: { readonly device: Device; readonly check: StopCheck },
): Promise<Model> {
  const options = { precision: precisionOf(request, device), beforePass: check.pause };
  if (!log) return loadModel(folder, device, "rademacher", { ...options, trainable: [] });
  const { header, entries } = log;
  matchBase(folder, header, request.base);
  const adapter = adapterOfLog(folder, header);
  const trained = adapter ? { adapter } : { trainable: header.trainable };
  const model = await loadModel(folder, device, header.noise, { ...options, ...trained });
  await model.replay(entries);
  await refuseOtherWeights(request, await model.digest());
  return model;
}

/** A failing disk changes bytes but not times, so the next attempt must hash the base again. */
async function refuseOtherWeights({ checkpoint, modelPath, hashesDir }: EvaluateRequest, seen: string): Promise<void> {
  if (!checkpoint || checkpoint.digest === seen) return;
  await forgetHash(basename(modelPath), { folder: hashesDir });
  throw wrongDigest({ digest: checkpoint.digest, modelPath }, seen);
}

function precisionOf({ settings }: EvaluateRequest, device: Device): Precision {
  const precision = settings.precision === "BFLOAT16" ? "bfloat16" : "float32";
  if (device.precisions.includes(precision)) return precision;
  const seen = `The evaluation needs products in ${precision}, which this worker's device (${device.description}) lacks.`;
  throw new SteplogError("DEVICE_UNAVAILABLE", `${seen} Start a worker whose device has them (docs/devices.md).`);
}
