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
  /** A folder of all its weights, already rebuilt; null where there is none, as for adapters, which are rebuilt in memory. */
  readonly folder: string | null;
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

export type FromServing =
  /** The device is open. `fingerprint` names whatever else equal seeds need for equal text. */
  | { readonly type: "ready"; readonly deviceNote: string; readonly fingerprint: string }
  | { readonly type: "loading"; readonly id: string }
  /**
   * The request wants a checkpoint that must be rebuilt to a folder first, or whose folder has gone. The thread has let go of
   * the request: the worker rebuilds, then adds it again with the folder.
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
