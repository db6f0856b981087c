/**
 * The client of a running service: GraphQL over HTTP, streams over one WebSocket, datasets and files over HTTP. Knows
 * nothing of Node or a browser beyond fetch and streams; the rest is its Platform. Here is what it offers; requests.ts asks,
 * files.ts sends and fetches files, streams.ts subscribes.
 */
import { SteplogError } from "../schema/errors.ts";
import { isFinal } from "../schema/states.ts";
import type { Alias, Classification, Completion, PiecesOptions, ScoredText, WrittenPiece } from "./completions.ts";
import { piecesOf } from "./completions.ts";
import type { DatasetInput } from "./dataset-body.ts";
import type { EvaluationWaitOptions, ModelEvaluation } from "./evaluations.ts";
import { hasEnded } from "./evaluations.ts";
import type { Checkpoint, CheckpointExport, Download, ExportForm, StoredDataset, WeightsFile } from "./files.ts";
import { Files, pollMs } from "./files.ts";
import type { FineTuneUpdate, FollowOptions } from "./follow.ts";
import { followRun } from "./follow.ts";
import type { Operation } from "./operation.ts";
import * as operations from "./operations.ts";
import type { EvaluationFragment, FineTuneFragment } from "./operations.ts";
import { type WaitOptions, type RebuildWaitOptions, pause } from "./pause.ts";
import type { Platform } from "./platform.ts";
import { type RateLimitOptions, RateLimitWaits } from "./rate-limits.ts";
import { Requests, defaultPatienceMs, outageRetryMs } from "./requests.ts";
import type {
  ClassifyInput,
  ContinueFineTuneInput,
  CreateCompletionInput,
  CreateEvaluationInput,
  CreateFineTuneInput,
  ModelInput,
  ScoreInput,
  UpdateFineTuneInput,
} from "./schema-types.ts";
import { Streams, type StreamOptions } from "./streams.ts";

export interface SteplogClientOptions extends RateLimitOptions {
  /** Address of the service, such as http://127.0.0.1:4000. */
  readonly url: string;
  /** API token, if the service needs one; a function is called before every request. */
  readonly token?: string | (() => string | undefined) | undefined;
  /** Constructor of WebSockets; left out, that of the browser or of Node 22, or of the package ws. */
  readonly webSocketImpl?: unknown;
}

/** A fine-tune: its state and, once it has ended, its outcome. `checkpoints` are the latest 100, latest first. */
export type FineTune = FineTuneFragment;
export type Evaluation = EvaluationFragment;

export type FineTunePage = operations.FineTunesQuery["fineTunes"];

/** What a fine-tune would take. */
export type FineTuneEstimate = operations.EstimateFineTuneQuery["estimateFineTune"];

export class Client {
  readonly #requests: Requests;
  readonly #files: Files;
  readonly #streams: Streams;

  constructor({ url: given, token: held, webSocketImpl, ...limits }: SteplogClientOptions, platform: Platform) {
    const url = given.replace(/\/+$/u, "");
    const token = typeof held === "function" ? held : () => held;
    const webSocket = async () => webSocketImpl ?? platform.webSocket();
    const rateLimits = new RateLimitWaits(limits);
    this.#requests = new Requests({ url, token, rateLimits });
    this.#files = new Files(this.#requests, platform);
    this.#streams = new Streams({ url, token, webSocket, rateLimits });
  }

  /**
   * Stores rows as a dataset. Safe to repeat with an `idempotencyKey`.
   * @throws SteplogError DATASET_INVALID with the line of each wrong row, PAYLOAD_TOO_LARGE, NOT_FOUND for a missing
   *   file, CONFLICT for a key that was used with other rows, INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE
   */
  async createDataset(input: DatasetInput): Promise<StoredDataset> {
    return this.#files.store(input);
  }

  /**
   * Creates a fine-tune, which waits for a worker. Safe to repeat with an `idempotencyKey`.
   * @throws SteplogError INVALID_ARGUMENT with the wrong fields, NOT_FOUND, DATASET_INVALID with the lines of rows that
   *   do not fit the model's context, CONFLICT, UNAUTHENTICATED, UNAVAILABLE
   */
  async createFineTune(input: CreateFineTuneInput): Promise<FineTune> {
    return (await this.query(operations.createFineTune, { input })).createFineTune.fineTune;
  }

  /**
   * What a fine-tune would take, and everything for which it would be refused (`errors`). Creates nothing. Idle workers have
   * `waitSeconds` (20 when left out, at most 60) to measure how long it would take with them; 0 asks none.
   * @throws SteplogError UNAUTHENTICATED, UNAVAILABLE; INVALID_ARGUMENT for input that cannot be read at all
   */
  async estimateFineTune(
    input: CreateFineTuneInput,
    options: { readonly waitSeconds?: number } = {},
  ): Promise<FineTuneEstimate> {
    return (await this.query(operations.estimateFineTune, { input, ...options })).estimateFineTune;
  }

  /** The fine-tune as it is now. @throws SteplogError NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE */
  async fineTune(id: string): Promise<FineTune> {
    return this.#fineTune(id);
  }

  async #fineTune(id: string, signal?: AbortSignal): Promise<FineTune> {
    const { fineTune } = await this.#requests.query(operations.fineTune, { id }, signal);
    if (fineTune) return fineTune;
    throw new SteplogError("NOT_FOUND", `There is no fine-tune ${id}.`);
  }

  /**
   * A page of the fine-tunes and how many there are, newest first and without the archived ones unless told otherwise. For the
   * next page pass its `pageInfo.endCursor` as `after`.
   * @throws SteplogError INVALID_ARGUMENT, UNAUTHENTICATED, UNAVAILABLE
   */
  async fineTunes(options: operations.FineTunesQueryVariables = {}): Promise<FineTunePage> {
    return (await this.query(operations.fineTunes, options)).fineTunes;
  }

  /**
   * Changes the name, tags, metadata or priority of a fine-tune, or archives it; what is left out stays.
   * @throws SteplogError INVALID_ARGUMENT, NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE
   */
  async update(id: string, input: UpdateFineTuneInput): Promise<FineTune> {
    return (await this.query(operations.updateFineTune, { id, input })).updateFineTune;
  }

  /**
   * Every step and event of a fine-tune once and in order, and its status whenever it changes. The last update is the
   * final status; then the iteration ends. An interrupted connection resumes where it stopped, so that no step or event is
   * missing or doubled; a later call resumes with the `cursor` of the last update as `after`.
   * @throws SteplogError NOT_FOUND, UNAUTHENTICATED; UNAVAILABLE when an outage outlasts `patienceMs`
   */
  follow(id: string, options: FollowOptions = {}): AsyncGenerator<FineTuneUpdate, void, undefined> {
    return followRun(this.#streams, id, { ...options, patienceMs: options.patienceMs ?? defaultPatienceMs });
  }

  /**
   * The fine-tune once it has succeeded, failed or been cancelled; `status` tells which.
   * @throws SteplogError as `follow`
   */
  async wait(id: string, options: WaitOptions = {}): Promise<FineTune> {
    const { patienceMs = defaultPatienceMs, signal = new AbortController().signal } = options;
    const seen = { ended: false };
    const onItem = ({ fineTuneStatus }: operations.StatusSubscription) => {
      seen.ended = isFinal(fineTuneStatus.status);
    };
    while (!seen.ended) {
      await this.#streams.run({ operation: operations.status, variables: () => ({ id }), onItem, patienceMs, signal });
      signal.throwIfAborted();
      if (!seen.ended) await pause(outageRetryMs, signal);
    }
    return this.#requests.patiently(() => this.#fineTune(id, options.signal), options);
  }

  /**
   * Asks a fine-tune to stop: a queued one does at once, a running one after its current step. Wait for it to read how
   * it ended.
   * @throws SteplogError INVALID_STATE when it has succeeded or failed, NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE
   */
  async cancel(id: string): Promise<FineTune> {
    return (await this.query(operations.cancelFineTune, { id })).cancelFineTune;
  }

  /**
   * Pauses a fine-tune: a running one after its current step. `resume` continues it, with the bits of one that never paused.
   * @throws SteplogError INVALID_STATE when it has ended or was cancelled, NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE
   */
  async pause(id: string): Promise<FineTune> {
    return (await this.query(operations.pauseFineTune, { id })).pauseFineTune;
  }

  /** Queues a paused fine-tune again; another one stays as it is. @throws SteplogError as `pause` */
  async resume(id: string): Promise<FineTune> {
    return (await this.query(operations.resumeFineTune, { id })).resumeFineTune;
  }

  /**
   * Creates a fine-tune that continues one that has ended, from its last checkpoint, for `steps` more steps.
   * @throws SteplogError INVALID_STATE when it has not ended or has no checkpoint, INVALID_ARGUMENT, NOT_FOUND,
   *   CONFLICT, UNAUTHENTICATED, UNAVAILABLE
   */
  async continue(id: string, input: Omit<ContinueFineTuneInput, "fineTune">): Promise<FineTune> {
    const { continueFineTune } = await this.query(operations.continueFineTune, { input: { ...input, fineTune: id } });
    return continueFineTune.fineTune;
  }

  /**
   * Has a worker rebuild the weights of a checkpoint from the log, unless they are stored, and waits for them.
   * @returns the checkpoint, with its `weightsFiles`
   * @throws SteplogError INTERNAL when they cannot be rebuilt, NOT_FOUND, UNAUTHENTICATED; UNAVAILABLE when an outage
   *   outlasts `patienceMs`
   */
  async rebuild(checkpointId: string, options: RebuildWaitOptions = {}): Promise<Checkpoint> {
    return this.#files.rebuild(checkpointId, options);
  }

  /**
   * Has a worker write the weights of a checkpoint in another form, unless its files are stored, and waits for them.
   * @returns the export, whose files `downloadFiles` fetches
   * @throws SteplogError INVALID_ARGUMENT for a form that the checkpoint cannot have, NOT_FOUND, UNAUTHENTICATED;
   *   UNAVAILABLE when an outage outlasts `patienceMs`; the worker's, when it cannot make the files
   */
  async exportWeights(checkpointId: string, options: ExportForm & RebuildWaitOptions): Promise<CheckpointExport> {
    return this.#files.exportWeights(checkpointId, options);
  }

  /**
   * Starts to download a file of the service: a checkpoint's `logUrl`, or the `url` of one of its `weightsFiles`.
   * @throws SteplogError NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE
   */
  async download(url: string): Promise<Download> {
    return this.#files.download(url);
  }

  /**
   * Downloads the weights of a checkpoint into a folder (Node only), as transformers or peft loads them. Rebuild them
   * first. Each file is checked against its SHA-256 and appears when it is complete.
   * @throws SteplogError INVALID_STATE when the weights are not stored; UNAVAILABLE also for bytes damaged on the way
   */
  async downloadWeights(checkpoint: Checkpoint, folder: string): Promise<void> {
    await this.#files.downloadWeights(checkpoint, folder);
  }

  /** Downloads files of a checkpoint, or of an export, into a folder (Node only), as `downloadWeights` does. */
  async downloadFiles(files: readonly WeightsFile[], folder: string): Promise<void> {
    await this.#files.downloadAll(files, folder);
  }

  /**
   * Asks a model to write, or to choose among labels. It answers whether or not anybody reads: `completionPieces` reads as it
   * writes, `completion` at any time. Safe to repeat with an `idempotencyKey`.
   * @throws SteplogError INVALID_ARGUMENT naming the wrong fields, NOT_FOUND listing the available models,
   *   MODEL_UNSUPPORTED, CONFLICT, BUSY, UNAUTHENTICATED; UNAVAILABLE also when no worker can serve the model
   */
  async createCompletion(input: CreateCompletionInput): Promise<Completion> {
    return (await this.query(operations.createCompletion, { input })).createCompletion.completion;
  }

  /** The completion as it is now. @throws SteplogError NOT_FOUND also once it has expired, UNAUTHENTICATED, UNAVAILABLE */
  async completion(id: string): Promise<Completion> {
    const { completion } = await this.query(operations.completion, { id });
    if (completion) return completion;
    throw new SteplogError("NOT_FOUND", `There is no completion ${id}. It may have expired.`);
  }

  /**
   * What a completion writes, each piece once and in order, until it ends. An interrupted connection resumes where it
   * stopped; a later call resumes with the `cursor` of the last piece as `after`.
   * @throws SteplogError the completion's own error if it failed; NOT_FOUND, UNAUTHENTICATED; UNAVAILABLE when an outage
   *   outlasts `patienceMs`
   */
  completionPieces(id: string, options: PiecesOptions = {}): AsyncGenerator<WrittenPiece, void, undefined> {
    return piecesOf(this.#streams, id, { ...options, patienceMs: options.patienceMs ?? defaultPatienceMs });
  }

  /** Ends a completion; what it has written stays. @throws SteplogError NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE */
  async cancelCompletion(id: string): Promise<Completion> {
    return (await this.query(operations.cancelCompletion, { id })).cancelCompletion;
  }

  /** Deletes a completion with all that was asked and written. False if there is none. @throws SteplogError UNAUTHENTICATED, UNAVAILABLE */
  async deleteCompletion(id: string): Promise<boolean> {
    return (await this.query(operations.deleteCompletion, { id })).deleteCompletion;
  }

  /** A label for each text, in their order. @throws SteplogError as `createCompletion` */
  async classify(input: ClassifyInput): Promise<readonly Classification[]> {
    return (await this.query(operations.classify, { input })).classify;
  }

  /** How likely a model finds given texts, in their order. @throws SteplogError as `createCompletion` */
  async score(input: ScoreInput): Promise<readonly ScoredText[]> {
    return (await this.query(operations.score, { input })).score;
  }

  /**
   * Has a worker measure a model on a dataset. Safe to repeat with an `idempotencyKey`.
   * @throws SteplogError INVALID_ARGUMENT naming the wrong fields, NOT_FOUND, DATASET_INVALID with the lines of rows that do
   *   not fit the model, CONFLICT, UNAUTHENTICATED, UNAVAILABLE
   */
  async createEvaluation(input: CreateEvaluationInput): Promise<ModelEvaluation> {
    return (await this.query(operations.createEvaluation, { input })).createEvaluation.evaluation;
  }

  /** The evaluation as it is now. @throws SteplogError NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE */
  async evaluation(id: string): Promise<ModelEvaluation> {
    return this.#evaluation(id);
  }

  async #evaluation(id: string, signal?: AbortSignal): Promise<ModelEvaluation> {
    const { modelEvaluation } = await this.#requests.query(operations.modelEvaluation, { id }, signal);
    if (modelEvaluation) return modelEvaluation;
    throw new SteplogError("NOT_FOUND", `There is no evaluation ${id}.`);
  }

  /**
   * Waits until an evaluation has ended, in whichever way. Survives outages, as `wait` does.
   * @param options onWait: called with the evaluation each time that it has not ended
   * @throws SteplogError NOT_FOUND, UNAUTHENTICATED; UNAVAILABLE when an outage outlasts `patienceMs`
   */
  async waitForEvaluation(id: string, options: EvaluationWaitOptions = {}): Promise<ModelEvaluation> {
    for (;;) {
      const found = await this.#requests.patiently(() => this.#evaluation(id, options.signal), options);
      if (hasEnded(found)) return found;
      options.onWait?.(found);
      await pause(pollMs, options.signal);
    }
  }

  /** Stops an evaluation, unless it has ended. @throws SteplogError NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE */
  async cancelEvaluation(id: string): Promise<ModelEvaluation> {
    return (await this.query(operations.cancelEvaluation, { id })).cancelEvaluation;
  }

  /** The aliases, by name; those after a name. At most 100. @throws SteplogError UNAUTHENTICATED, UNAVAILABLE */
  async aliases(options: { readonly first?: number; readonly after?: string } = {}): Promise<readonly Alias[]> {
    return (await this.query(operations.aliases, options)).aliases;
  }

  /**
   * Points an alias at a model, for requests that come from now on.
   * @throws SteplogError INVALID_ARGUMENT for a name that cannot be one, CONFLICT for a base model's, NOT_FOUND,
   *   UNAUTHENTICATED, UNAVAILABLE
   */
  async setAlias(name: string, model: ModelInput): Promise<Alias> {
    return (await this.query(operations.setAlias, { name, model })).setAlias;
  }

  /** Points an alias to where it pointed before. @throws SteplogError NOT_FOUND, INVALID_STATE, UNAUTHENTICATED, UNAVAILABLE */
  async rollBackAlias(name: string): Promise<Alias> {
    return (await this.query(operations.rollBackAlias, { name })).rollBackAlias;
  }

  /** False if there is none. @throws SteplogError UNAUTHENTICATED, UNAVAILABLE */
  async removeAlias(name: string): Promise<boolean> {
    return (await this.query(operations.removeAlias, { name })).removeAlias;
  }

  /**
   * The data of any GraphQL operation: one generated with types, or text, whose result type the caller names.
   * @throws SteplogError the first error of the response, with its code and issues; UNAVAILABLE without a response
   */
  query<Result, Variables extends object>(
    operation: Operation<Result, Variables>,
    variables: Variables,
  ): Promise<Result>;
  query<Result>(text: string, variables?: object): Promise<Result>;
  async query(operation: string | Operation<unknown, object>, variables: object = {}): Promise<unknown> {
    return this.#requests.query(typeof operation === "string" ? { text: operation } : operation, variables);
  }

  /**
   * A GraphQL subscription that survives outages: after each, it subscribes anew with fresh `variables`. Resolves when
   * the stream is complete, or the signal aborts.
   * @throws SteplogError the service's; UNAVAILABLE when an outage outlasts `patienceMs`
   */
  subscribe<Result, Variables extends object>(options: StreamOptions<Result, Variables>): Promise<void> {
    return this.#streams.run(options);
  }
}
