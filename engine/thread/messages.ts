/** The messages between worker and engine thread. All of them survive a structured clone. */
import type { ErrorCode, InputIssue } from "../../schema/errors.ts";
import { SteplogError, asSteplogError } from "../../schema/errors.ts";
import { type Fault, ToldFault, faultOf } from "../../schema/faults.ts";
import type { RunSpeeds } from "../../schema/estimate.ts";
import type { StepEvaluation } from "../../schema/best-evaluation.ts";
import type { EvaluatedRow, EvaluationRules, Measured } from "../../schema/model-evaluation.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import type { EvaluationKind } from "../../schema/states.ts";
import type { LogEntry, RuledEntries } from "../../schema/step-log.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import type { Divergence, Fall } from "../train/divergence.ts";
import type { KeptFolder } from "../train/kept-weights.ts";
import type { MemoryMessage } from "../train/memory-readings.ts";
import type { CallMarks } from "./foreign.ts";
import type { TrainerPlace } from "./turns.ts";

/** Everything a fine-tune needs, as values and paths: the engine knows no database. */
export interface FineTuneRequest {
  readonly kind: "FINE_TUNE";
  /** Folder of the base model, and the base hash it must have. */
  readonly modelPath: string;
  readonly base: string;
  /** Folder of the cache of base hashes (engine/model/files/hashes.ts). */
  readonly hashesDir: string;
  readonly datasetPath: string;
  readonly validationPath: string | null;
  /** Rows evaluated twice: on the base, and at the best step. */
  readonly testPath: string | null;
  readonly labelWords: readonly string[];
  readonly calibrationPrompt: string | null;
  readonly hyperparameters: Hyperparameters;
  /** For a fork of another run: the header of their shared log, and the number of steps whose rows are already used. */
  readonly fork: { readonly headerBytes: Uint8Array; readonly firstStep: number } | null;
  /** Log entries that are already stored, and how many of them are steps of this run; training continues after them. */
  readonly entries: RuledEntries;
  readonly stepsDone: number;
  /** Losses of these steps; NaN where not finite. */
  readonly losses: Float64Array;
  /** Seconds that it has been trained so far; 0 when left out. */
  readonly trainedSeconds?: number;
  /** Evaluations that are already recorded, in order. */
  readonly evaluated: readonly (StepEvaluation & { readonly kind: EvaluationKind; readonly rows: number })[];
  /** The learning rate that AUTO picked when the run started; null before that, and for a given rate. */
  readonly pickedRate: number | null;
  /** An empty folder for the trained weights of the last checkpoint; null to leave them to a replay. */
  readonly weightsDir: string | null;
  /** Where its weights are kept when it gives way, and may be since it last did; null, or left out, to replay its log instead. */
  readonly kept?: KeptWeights | null;
}

export interface KeptWeights extends KeptFolder {
  /** Its id. */
  readonly run: string;
  /** Of the checkpoint at the end of its log; null where there is none. */
  readonly digest: string | null;
}

export interface MaterialiseRequest {
  readonly kind: "MATERIALISE";
  readonly modelPath: string;
  readonly hashesDir: string;
  /** A whole .steplog file up to the checkpoint, and the digest of its weights as trained. */
  readonly log: Uint8Array;
  readonly digest: string;
  /** What the weights are written as; as trained when left out. */
  readonly form?: WeightsForm;
  /** An empty folder. */
  readonly weightsDir: string;
}

/** Measures how fast a run would be: one at its start. */
export interface MeasureRequest {
  readonly kind: "MEASURE";
  readonly modelPath: string;
  readonly run: FineTuneRequest;
  /** When the work began, by process.hrtime: threads count performance.now() from different moments. */
  readonly startedAt: bigint;
}

/** Evaluates a base or a checkpoint on rows, as a run does. */
export interface EvaluateRequest {
  readonly kind: "EVALUATE";
  readonly modelPath: string;
  readonly base: string;
  readonly hashesDir: string;
  /** A whole .steplog file up to the checkpoint, and the digest of its weights as trained; null for the base itself. */
  readonly checkpoint: { readonly log: Uint8Array; readonly digest: string } | null;
  readonly datasetPath: string;
  readonly labelWords: readonly string[];
  readonly calibrationPrompt: string | null;
  readonly settings: EvaluationRules;
}

export type EngineRequest = FineTuneRequest | MaterialiseRequest | MeasureRequest | EvaluateRequest;

export interface StepMessage {
  readonly type: "step";
  readonly step: number;
  readonly entries: readonly LogEntry[];
  readonly loss: number;
  readonly projectedGradient: number;
  readonly learningRate: number;
  readonly skipped: string | null;
  readonly seconds: number;
  /** Of its rows, each counted once. */
  readonly tokens: number;
}

export interface EvaluationMessage extends StepEvaluation {
  readonly type: "evaluation";
  readonly kind: EvaluationKind;
  readonly rows: number;
  readonly exactMatch: number | null;
  /** Since the message before it, as those of a step and a checkpoint. */
  readonly seconds: number;
}

export type EngineMessage =
  | {
      readonly type: "began";
      readonly headerBytes: Uint8Array;
      readonly pickedRate: number | null;
      /** How long the log took that the request brought; 0 without one. */
      readonly replaySeconds: number;
    }
  | { readonly type: "note"; readonly event: string; readonly message: string }
  | StepMessage
  | EvaluationMessage
  | MemoryMessage
  | { readonly type: "diverged"; readonly divergence: Divergence }
  | {
      readonly type: "checkpoint";
      readonly entries: number;
      readonly step: number;
      readonly digest: string;
      /** Paths of its weight files; none if no weights were requested. */
      readonly files: readonly string[];
      readonly seconds: number;
    }
  | { readonly type: "materialised"; readonly files: readonly string[] }
  | { readonly type: "measured"; readonly speeds: RunSpeeds }
  /** Tokens of answers that the model wrote for an evaluation, told before its end whatever that is. */
  | { readonly type: "generated"; readonly tokens: number }
  | { readonly type: "evaluated"; readonly measured: Measured; readonly rows: readonly EvaluatedRow[] }
  | {
      readonly type: "kept";
      /** Of the file; null without one, because of the problem, or because there is no room for it. */
      readonly bytes: number | null;
      readonly problem: string | null;
    }
  | { readonly type: "stopped" }
  | {
      readonly type: "done";
      /** Of a fine-tune whose last evaluation is clearly below its best, though it has not diverged. */
      readonly overfit: Fall | null;
    }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly issues: readonly InputIssue[];
      /** What a log may say of it. */
      readonly fault: Fault;
    };

/**
 * From the worker: a request, the next one only after the one before was done; `stop` it as soon as it can; `leave` a fine-tune after
 * the next step, keeping its weights; `taken` for every message it has handled.
 */
export type ControlMessage =
  | { readonly type: "request"; readonly request: EngineRequest }
  | { readonly type: "stop" }
  | { readonly type: "leave" }
  | { readonly type: "taken" };

export function failedMessage(error: unknown): EngineMessage & { type: "failed" } {
  const { code, message, issues } = asSteplogError(error);
  return { type: "failed", code, message, issues, fault: faultOf(error) };
}

export function failureOf(message: EngineMessage & { type: "failed" }): SteplogError {
  const { code, issues, fault } = message;
  return new SteplogError(code, message.message, issues, { cause: new ToldFault(fault) });
}

/** The device to open, as chooseDevice takes it. */
export interface ThreadDevice {
  readonly name: string;
  readonly threads: number;
  readonly devicesDir: string | null;
}

/** Arguments of the engine thread. */
export interface EngineThreadData {
  readonly device: ThreadDevice;
  readonly marks: CallMarks;
  /** Where requests are answered between its passes; null where none are. */
  readonly turns: TrainerPlace | null;
}
