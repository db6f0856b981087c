/** The messages between the worker and its serving thread, which keeps models warm. All of them survive a structured clone. */
import type { CompletionTask, FinishReason, Piece, RowScore, Usage } from "../../schema/completion.ts";
import type { ErrorCode, InputIssue } from "../../schema/errors.ts";
import type { CallMarks } from "./foreign.ts";
import type { ThreadDevice } from "./messages.ts";

/** A model that answers, as paths and values: the engine knows no database. */
export interface ServedModel {
  /** Folder of the base, its hash (docs/STEP_LOG.md), and the folder of the cache of hashes. */
  readonly modelPath: string;
  readonly base: string;
  readonly hashesDir: string;
  /** Null for the base itself. */
  readonly checkpoint: ServedCheckpoint | null;
}

export interface ServedCheckpoint {
  /** Chain hash of the log up to the checkpoint, 64 hex digits: models of equal base and chain are one model. */
  readonly chain: string;
  /** A whole .steplog file up to the checkpoint, and the digest of its weights as trained. */
  readonly log: Uint8Array;
  readonly digest: string;
  /** A folder of all its weights, already rebuilt; null where there is none. Then they are rebuilt in memory. */
  readonly folder: string | null;
  /** Whether the files of such a folder are stored, so that the worker makes one without rebuilding anything. */
  readonly isStored: boolean;
}

/** A checkpoint by its hashes (ServedModel, ServedCheckpoint). */
export interface CheckpointName {
  readonly base: string;
  readonly chain: string;
}

/** What models are told apart by; a base has no chain. */
export function keyOf({ base, chain }: { readonly base: string; readonly chain: string | null }): string {
  return chain === null ? base : `${base}:${chain}`;
}

/** What an earlier worker has already answered of a choice. */
export interface DoneChoice {
  readonly tokens: readonly number[];
  readonly finish: FinishReason | null;
}

export interface ServingRequest {
  /** The completion's. */
  readonly id: string;
  readonly model: ServedModel;
  readonly task: CompletionTask;
  /** Of a GENERATE task; empty for SCORE. */
  readonly prompt: Int32Array;
  /** One per choice; empty lists for a request that nobody has begun. */
  readonly done: readonly DoneChoice[];
}

export type ToServing =
  | { readonly type: "add"; readonly request: ServingRequest }
  /** The request ends with what it has; one that has ended is not there any more. */
  | { readonly type: "cancel"; readonly id: string }
  /** Asks for weights that are only in memory to be saved to this empty folder in the background; answered by `written`. */
  | ({ readonly type: "keep"; readonly folder: string } & CheckpointName)
  /** The end of what `replayed` began: they are in this folder from now on; null for weights that stay in memory alone. */
  | ({ readonly type: "kept"; readonly folder: string | null } & CheckpointName)
  /** Memory for weights and caches from now on. What is in use is finished first. */
  | { readonly type: "budget"; readonly bytes: number }
  /** Ends the thread after the pass that runs; requests that it holds are not answered. */
  | { readonly type: "stop" };

/** A model that the thread holds. */
export interface WarmModel {
  readonly base: string;
  readonly chain: string | null;
  readonly bytes: number;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

export type FromServing =
  /** The device is open. `fingerprint` names whatever else equal seeds need for equal text. */
  | { readonly type: "ready"; readonly deviceNote: string; readonly fingerprint: string }
  | { readonly type: "loading"; readonly id: string; readonly isReplay: boolean }
  /**
   * The request wants a checkpoint that must be a folder first: its files are stored, or memory is too short to rebuild it there,
   * or its folder has gone. The thread has let go of the request: the worker makes the folder, then adds it again with it.
   */
  | { readonly type: "rebuild"; readonly id: string }
  | { readonly type: "piece"; readonly id: string; readonly piece: Piece }
  | { readonly type: "ended"; readonly id: string; readonly usage: Usage; readonly scores: readonly RowScore[] | null }
  | {
      readonly type: "failed";
      readonly id: string;
      readonly code: ErrorCode;
      readonly message: string;
      readonly issues: readonly InputIssue[];
    }
  /** All weights of a checkpoint were rebuilt, and are in memory alone. The worker may have them kept; it says `kept` in the end. */
  | ({ readonly type: "replayed" } & CheckpointName)
  /** Null when the folder is whole. */
  | ({ readonly type: "written"; readonly failure: Failure | null } & CheckpointName)
  /** After every change. */
  | { readonly type: "warm"; readonly models: readonly WarmModel[]; readonly bytes: number };

/** Arguments of the serving thread. */
export interface ServingThreadData {
  readonly device: ThreadDevice;
  /** Products of bases that are stored in bfloat16. */
  readonly precision: "auto" | "float32" | "bfloat16";
  readonly budgetBytes: number;
  /** Sequences in one pass at most. */
  readonly sequences: number;
  readonly marks: CallMarks;
  /** Shared words by which serving and training give each other the machine (turns.ts); null where no training can run. */
  readonly turns: SharedArrayBuffer | null;
  /** Share of the time for requests while a run trains and requests wait, 0 to 1. */
  readonly share: number;
}
