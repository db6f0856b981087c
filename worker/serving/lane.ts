/**
 * The lane of requests, beside the lane of jobs (worker.ts): it claims as many requests as it has places for, has the serving
 * thread answer them together, and writes what comes.
 *
 * - The thread starts with the first request and then keeps its models warm. It ends with the lane.
 * - A request is held until its end is written. Then the place is free.
 * - The leases of all held requests are renewed together. A lost one is cancelled in the thread, and nothing more is written.
 * - A cancel is seen when tokens are written, so within `pieceMs`, or at the next renewal.
 * - When the lane stops, or the thread dies, requests are given back: the next worker goes on after the pieces that are stored.
 *
 * Nothing that is logged, or told of an attempt, has text of a request in it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { FromServing, ServingThreadData, WarmModel } from "../../engine/thread/serving-messages.ts";
import type { ModelsAtHand } from "../../models/registration.ts";
import { SteplogError, asSteplogError, errorCodes } from "../../schema/errors.ts";
import type { Capabilities } from "../../schema/jobs.ts";
import { foldersIn, toldToClients } from "../../schema/folders-in-messages.ts";
import { completionAttempts, leaseMs, pollMs, renewMs } from "../../schema/limits.ts";
import type { Log } from "../../schema/log.ts";
import type { Tracing } from "../../schema/tracing.ts";
import type { BaseModel, ServingReport } from "../../schema/tables.ts";
import { type ClaimedJob, type Claimer, type CompletionEnd, type Store, leaseNameOf } from "../../store/store.ts";
import { attemptsFor, doubtsModel } from "../attempts.ts";
import { useBase } from "../bases.ts";
import type { Sharing } from "../sharing.ts";
import { type Held, endsChoice, heldOf } from "./held.ts";
import { Keeping } from "./keeping.ts";
import { KeptFolders, type KeptModel } from "./kept-folders.ts";
import { PieceRecorder } from "./piece-recorder.ts";
import { Rebuilds } from "./rebuilds.ts";
import { RequestTrace } from "./request-trace.ts";
import { inFolder, readRebuild, readRequest, withoutStored } from "./requests.ts";
import { SharedTime } from "./shared-time.ts";
import type { ServingRun, StartServing } from "./serving-run.ts";

export interface ServingSettings extends Omit<ServingThreadData, "marks"> {
  /** Folder of rebuilt checkpoints, and bytes of it to keep. */
  readonly keptDir: string;
  readonly keptBytes: number;
}

export interface LaneOptions {
  readonly store: Store;
  readonly name: string;
  readonly modelsDir: string;
  readonly models: ModelsAtHand;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly settings: ServingSettings;
  /** The memory for weights, of which a job takes its part. */
  readonly memoryBytes: number;
  readonly sharing: Sharing;
  /** Of requests; none when left out. */
  readonly tracing?: Tracing | null;
  readonly capabilities: () => Omit<Capabilities, "kinds" | "memoryBytes">;
  readonly start: StartServing;
}

type AboutRequest = Exclude<FromServing, { readonly type: "ready" | "warm" | "replayed" | "written" }>;

/** How long requests for a model that is not warm let others go first. */
const warmFirstMs = 1_000;

export class ServingLane {
  readonly #options: LaneOptions;
  readonly #held = new Map<string, Held>();
  readonly #recorder: PieceRecorder;
  readonly #rebuilds: Rebuilds;
  readonly #keeping: Keeping;
  readonly #time = new SharedTime();
  #thread: ServingRun | null = null;
  #warm: readonly WarmModel[] = [];
  #usedBytes = 0;
  #budgetBytes: number;
  #lastRenewed = 0;
  /** Requests that were claimed and are not among the held ones yet. */
  #beginning = 0;
  /** Wakes the loop that claims. */
  #wake = new AbortController();

  constructor(options: LaneOptions) {
    this.#options = options;
    const { settings } = options;
    this.#budgetBytes = settings.budgetBytes;
    const damaged = (folder: string) =>
      options.log.warn(
        { folder },
        "Files of a rebuilt checkpoint have changed or gone; it is rebuilt when it is asked for.",
      );
    const kept = new KeptFolders(settings.keptDir, settings.keptBytes, () => this.#heldFolders(), damaged);
    this.#rebuilds = new Rebuilds(options.store.blobs, kept, settings.device, settings.turns);
    this.#keeping = new Keeping(kept, options.log, options.signal);
    this.#recorder = new PieceRecorder(options.store, {
      written: (held, ended) => ended && this.#release(held),
      cancel: (held) => this.#cancel(held),
      lost: (held) => this.#lose(held),
      failed: (held, error) => this.#failed(held, notWritten(error)),
    });
    options.sharing.onChange(() => this.#jobChanged());
    options.signal.addEventListener("abort", () => this.#wake.abort(), { once: true });
  }

  report(): ServingReport {
    const { settings } = this.#options;
    return {
      memoryBytes: this.#budgetBytes,
      usedBytes: this.#usedBytes,
      places: settings.sequences,
      requests: this.#held.size + this.#beginning,
      warm: this.#warm.map(({ base, chain }) => ({ base, chain })),
    };
  }

  /** @param upToDate returns once the store knows what this worker can do */
  async run(upToDate: () => Promise<void>): Promise<void> {
    const { store, signal, log } = this.#options;
    const claimer = store.claimer();
    const renewal = setInterval(() => void this.#renew(), renewMs);
    try {
      while (!signal.aborted) {
        this.#wake = new AbortController();
        await this.#claimAndBegin(claimer, upToDate).catch(async (error: unknown) => {
          log.error({ error }, "The store does not answer; requests are claimed again later.");
          await this.#sleep();
        });
      }
      await this.#giveBack();
    } finally {
      clearInterval(renewal);
      await this.#end();
    }
  }

  async #claimAndBegin(claimer: Claimer, upToDate: () => Promise<void>): Promise<void> {
    await upToDate();
    const places = this.#places();
    if (places <= 0 || !this.#options.sharing.claimRequests()) return this.#sleep();
    const claimed = await this.#claim(claimer, places);
    await Promise.all(claimed.map((job) => this.#begin(job)));
    if (claimed.length === 0) await claimer.waitForJob({ timeoutMs: pollMs, signal: this.#wake.signal });
  }

  /** Until a place is free or a job has begun or ended. */
  async #sleep(): Promise<void> {
    await delay(pollMs, undefined, { signal: this.#wake.signal }).catch(() => {});
  }

  // Claims

  /** Sequences that could be added. */
  #places(): number {
    const taken = [...this.#held.values()].reduce((sum, { sequences }) => sum + sequences, 0);
    return this.#options.settings.sequences - taken;
  }

  async #claim(claimer: Claimer, places: number): Promise<ClaimedJob[]> {
    const { name, sharing, capabilities } = this.#options;
    let claimed: ClaimedJob[] = [];
    try {
      const can = { ...capabilities(), kinds: ["COMPLETE"] as const, memoryBytes: this.#budgetBytes };
      const prefer = { bases: [...new Set(this.#warm.map(({ base }) => base))], patienceMs: warmFirstMs };
      const worker = leaseNameOf("COMPLETE", name);
      claimed = await claimer.claimJobs({ worker, leaseMs, capabilities: can, prefer }, places);
      if (this.#held.size === 0) this.#lastRenewed = performance.now();
      return claimed;
    } finally {
      this.#beginning = claimed.length;
      sharing.claimedRequests(this.#held.size + this.#beginning);
    }
  }

  async #begin(job: ClaimedJob): Promise<void> {
    const { store, modelsDir, sharing, tracing } = this.#options;
    const trace = tracing ? new RequestTrace(tracing, job) : null;
    try {
      if (job.attempts > completionAttempts) throw tooManyAttempts();
      const read = await readRequest(store, job.subject, modelsDir);
      if (!read) return trace?.end();
      const folder = await this.#rebuilds.find(read.request.model);
      const held = heldOf(job, { trace, seconds: this.#time.begin() }, read);
      this.#held.set(held.key, held);
      if (read.completion.wanted === "CANCEL") this.#recorder.end(held, { status: "CANCELLED", usage: null });
      else if (this.#options.models.isHere(read.baseModel)) this.#add(held, folder);
      else void this.#copyBase(held, read.baseModel, folder);
    } catch (caught) {
      const error = asSteplogError(caught);
      await this.#endAttempt(job, error);
      trace?.end(error.code);
    } finally {
      this.#beginning -= 1;
      sharing.holdRequests(this.#held.size + this.#beginning);
    }
  }

  // The thread

  #running(): ServingRun {
    const { start, settings } = this.#options;
    this.#thread ??= start(settings, {
      message: (message) => this.#hear(message),
      died: (fault, blamed) => void this.#died(fault, blamed),
    });
    return this.#thread;
  }

  #hear(message: FromServing): void {
    if (message.type === "ready") this.#ready(message);
    else if (message.type === "warm") this.#setWarm(message);
    else if (message.type === "replayed") this.#keep(message);
    else if (message.type === "written") this.#keeping.written(message);
    else {
      const held = this.#held.get(message.id);
      if (held) this.#hearOf(held, message);
    }
  }

  #ready({ deviceNote, fingerprint }: FromServing & { type: "ready" }): void {
    this.#recorder.device = fingerprint;
    this.#options.log.info({ device: deviceNote }, "Answers requests.");
  }

  #setWarm({ models, bytes }: FromServing & { type: "warm" }): void {
    [this.#warm, this.#usedBytes] = [models, bytes];
    for (const held of this.#held.values()) held.trace?.warm(models, held);
  }

  #keep({ base, chain }: FromServing & { type: "replayed" }): void {
    const thread = this.#thread;
    this.#keeping.begin({ base, chain }, (message) => thread?.send(message));
  }

  #hearOf(held: Held, message: AboutRequest): void {
    held.trace?.heard(message);
    switch (message.type) {
      case "loading":
        this.#recorder.stage(held, message.isReplay ? "REBUILDING" : "LOADING");
        break;
      case "piece":
        if (endsChoice(message.piece.finish)) held.open.delete(message.piece.choice);
        this.#recorder.add(held, message.piece);
        break;
      case "ended":
        this.#recorder.end(held, endOf(held, message));
        break;
      case "failed":
        this.#failed(held, new SteplogError(message.code, message.message, message.issues));
        break;
      case "rebuild":
        void this.#rebuild(held);
    }
  }

  #add(held: Held, folder: string | null): void {
    held.trace?.added(held);
    this.#running().send({ type: "add", request: inFolder(held.request, folder) });
  }

  /** The base is not in the models folder: others are answered until it has come. */
  async #copyBase(held: Held, baseModel: BaseModel, folder: string | null): Promise<void> {
    held.isRebuilding = true;
    this.#recorder.stage(held, "LOADING");
    try {
      const { release, modelPath, hashesDir } = await useBase(this.#options, baseModel);
      if (this.#held.get(held.key) !== held || held.wanted === "CANCEL") return release();
      held.releaseBase = release;
      held.request = { ...held.request, model: { ...held.request.model, modelPath, hashesDir } };
      held.isRebuilding = false;
      this.#add(held, folder);
    } catch (error) {
      if (!this.#options.signal.aborted) await this.#endHeld(held, asSteplogError(error));
    }
  }

  /** Checkpoints that may be folders. */
  #heldFolders(): readonly KeptModel[] {
    return [...this.#held.values()].flatMap(({ request: { model } }) =>
      model.checkpoint ? [{ base: model.base, chain: model.checkpoint.chain }] : [],
    );
  }

  /** The thread has let go of the request until its model is a folder. Where its files cannot be had it is rebuilt in memory. */
  async #rebuild(held: Held): Promise<void> {
    const { store, signal } = this.#options;
    held.isRebuilding = true;
    this.#recorder.stage(held, "REBUILDING");
    try {
      const folder = await this.#rebuilds.make(await readRebuild(store, held.request.model, held.checkpointId));
      this.#addAgain(held, folder);
    } catch (caught) {
      if (signal.aborted) return;
      const error = asSteplogError(caught);
      const unstored = error.code === "UNAVAILABLE" ? withoutStored(held.request) : null;
      if (!unstored) return this.#endHeld(held, error);
      held.request = unstored;
      this.#addAgain(held, null);
    }
  }

  #addAgain(held: Held, folder: string | null): void {
    if (this.#held.get(held.key) !== held || held.wanted === "CANCEL") return;
    held.isRebuilding = false;
    this.#add(held, folder);
  }

  /** The request whose text could not be read ends; the others are given back. */
  async #died(fault: SteplogError, blamed: string | null): Promise<void> {
    this.#thread = null;
    [this.#warm, this.#usedBytes] = [[], 0];
    this.#options.log.error({ code: fault.code, error: fault.message }, "The serving thread died.");
    const gone = new SteplogError("INTERNAL", "The serving thread died.");
    const held = [...this.#held.values()];
    const keeping = this.#keeping.end();
    await Promise.all(held.map((one) => this.#endHeld(one, one.key === blamed ? fault : gone)));
    await keeping;
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    [this.#warm, this.#usedBytes] = [[], 0];
    thread?.send({ type: "stop" });
    await thread?.kill();
    await this.#keeping.end();
  }

  // Jobs beside it

  /** A run takes its part of the memory. */
  #jobChanged(): void {
    const { sharing, settings, memoryBytes } = this.#options;
    const { job } = sharing;
    const left = Math.max(0, memoryBytes - (job?.memoryBytes ?? 0));
    const budget = Math.min(settings.budgetBytes, left);
    if (budget !== this.#budgetBytes) this.#thread?.send({ type: "budget", bytes: budget });
    this.#budgetBytes = budget;
    this.#wake.abort();
  }

  // Leases

  async #renew(): Promise<void> {
    const held = [...this.#held.values()];
    if (held.length === 0) return;
    try {
      const wanted = await this.#options.store.renewLeases(
        held.map(({ job }) => job),
        leaseMs,
      );
      this.#lastRenewed = performance.now();
      for (const [index, one] of held.entries()) {
        if (wanted[index] === "CANCEL") this.#cancel(one);
        // Of one whose end is written, that write finds out whether it is lost.
        else if (!wanted[index] && !this.#recorder.isEnding(one)) this.#lose(one);
      }
    } catch {
      if (performance.now() - this.#lastRenewed > leaseMs) for (const one of held) this.#lose(one);
    }
  }

  #cancel(held: Held): void {
    if (held.wanted === "CANCEL") return;
    held.wanted = "CANCEL";
    if (held.isRebuilding) this.#recorder.end(held, { status: "CANCELLED", usage: null });
    else this.#thread?.send({ type: "cancel", id: held.key });
  }

  /** It is not ours any more. */
  #lose(held: Held): void {
    if (this.#held.get(held.key) !== held) return;
    this.#recorder.drop(held);
    this.#thread?.send({ type: "cancel", id: held.key });
    this.#release(held, "LEASE_LOST");
  }

  /** @param code of why it was not answered */
  #release(held: Held, code?: SteplogError["code"]): void {
    if (this.#held.get(held.key) !== held) return;
    this.#held.delete(held.key);
    held.seconds();
    held.trace?.end(code);
    held.releaseBase();
    this.#options.sharing.holdRequests(this.#held.size + this.#beginning);
    this.#wake.abort();
  }

  // Ends

  #failed(held: Held, error: SteplogError): void {
    if (changedModel.has(error.code)) this.#options.models.forget(held.base);
    this.#thread?.send({ type: "cancel", id: held.key });
    void this.#endHeld(held, error);
  }

  /** What was said before is written first, so that the next attempt goes on after it. */
  async #endHeld(held: Held, error: SteplogError): Promise<void> {
    await this.#recorder.flush();
    if (this.#held.get(held.key) !== held) return;
    this.#release(held, error.code);
    await this.#endAttempt(held.job, error, held);
  }

  /** Has the attempt repeated, if that may help, or ends the request. */
  async #endAttempt(job: ClaimedJob, error: SteplogError, held?: Held): Promise<void> {
    const { store, log } = this.#options;
    const { code, message, issues } = toldToClients(error);
    // Of the message no more than this: it may quote the request.
    const files = foldersIn(error.message);
    log.warn({ job: job.id, completion: job.subject, code, files }, `An attempt failed: ${errorCodes[code]}`);
    try {
      const attempts = attemptsAt(code);
      // The text of the code alone: this is told to whoever asks why a request waits.
      if (attempts > 1 && (await store.repeatJob(job, { message: `${code}: ${errorCodes[code]}`, attempts }))) return;
      const after = held?.pieces ?? (await store.completions.get(job.subject))?.pieces ?? 0;
      const end = { status: "FAILED", code, message, issues } as const;
      const answered = { job, after, pieces: [], end, seconds: held?.seconds() ?? 0 };
      await store.appendPieces([answered], this.#recorder.device);
    } catch (failure) {
      log.warn({ job: job.id, code: asSteplogError(failure).code }, "A request could not be given back.");
    }
  }

  /** When the lane stops: what was said is written, and the rest is another worker's. */
  async #giveBack(): Promise<void> {
    this.#thread?.send({ type: "stop" });
    await this.#rebuilds.end();
    await this.#recorder.flush();
    const held = [...this.#held.values()];
    await Promise.all(held.map(({ job }) => this.#options.store.releaseJob(job).catch(() => {})));
    for (const { trace } of held) trace?.end();
    this.#held.clear();
  }
}

/** Without the words of the database, which may quote the answer. */
function notWritten(error: unknown): SteplogError {
  const { code } = asSteplogError(error);
  const known = code === "UNAVAILABLE" ? "UNAVAILABLE" : "INTERNAL";
  return new SteplogError(known, "The answer could not be written to the store.");
}

function tooManyAttempts(): SteplogError {
  const message = `${completionAttempts} attempts to answer failed without a token. Look at the logs of the workers.`;
  return new SteplogError("INTERNAL", message);
}

/** The folder is not what it was when this worker read it. */
const changedModel = new Set<SteplogError["code"]>(["NOT_FOUND", "BASE_MISMATCH", "MODEL_INVALID"]);

/** Somebody waits: what is wrong with the model here is told at once, and what may pass is tried a few times. */
function attemptsAt(code: SteplogError["code"]): number {
  return doubtsModel(code) ? 1 : Math.min(attemptsFor[code], completionAttempts);
}

/** One that was cancelled may have ended by itself before the thread heard of it. */
function endOf(held: Held, { usage, scores }: FromServing & { type: "ended" }): CompletionEnd {
  const isWhole = held.isScore ? scores !== null : held.open.size === 0;
  return isWhole ? { status: "SUCCEEDED", usage, scores } : { status: "CANCELLED", usage };
}
