/**
 * Answers requests with the models that are warm, and loads others. Messages are handled between two steps: a pass of some model,
 * or a part of loading one. Models take turns, step by step.
 */
import { asSteplogError } from "../../schema/errors.ts";
import type { Device } from "../devices/device.ts";
import type { ForeignCalls } from "../thread/foreign.ts";
import type { FromServing, ServedModel, ServingRequest, ToServing } from "../thread/serving-messages.ts";
import type { PromptUse } from "./prompt-pieces.ts";
import { cacheBytesPerToken } from "./caches.ts";
import { Generating } from "./generating.ts";
import { Keeping } from "./keeping.ts";
import type { Heard, OpenRequest } from "./request.ts";
import { Scheduler } from "./scheduler.ts";
import { Scoring } from "./scoring.ts";
import { Stepwise } from "./stepwise.ts";
import type { Warm, WarmOptions } from "./warm-models.ts";
import { LacksMemory, WarmModels, keyOfModel, lacksFolder, needsReplay } from "./warm-models.ts";

export interface ServeOptions extends WarmOptions {
  readonly budgetBytes: number;
  /** Marks calls of a model's tokenizer with the number of the request, counted from 1 in the order in which they come. */
  readonly calls: (request: number) => ForeignCalls;
  readonly send: (message: FromServing) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A request that waits for its model. */
interface Waiting {
  readonly request: ServingRequest;
  readonly calls: ForeignCalls;
}

/** A request whose model is warm. Its prompts are null once it has begun. */
interface Open {
  readonly request: OpenRequest;
  readonly warm: Warm;
  readonly bytes: number;
  prompts: readonly PromptUse[] | null;
}

interface Load {
  readonly key: string;
  /** Null once they are answered: others come too late for this load. */
  waiting: Waiting[] | null;
  readonly work: Stepwise;
}

const nothing = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

export class Serving {
  readonly #options: ServeOptions;
  readonly #warm: WarmModels;
  readonly #keeping: Keeping;
  readonly #scheduler = new Scheduler();
  readonly #loads: Load[] = [];
  /** In the order in which they came. */
  readonly #open = new Map<string, Open>();
  #budgetBytes: number;
  #numbered = 0;
  #told = 0;

  constructor(device: Device, options: ServeOptions) {
    this.#options = options;
    this.#budgetBytes = options.budgetBytes;
    this.#warm = new WarmModels(device, options);
    this.#keeping = new Keeping(this.#warm, { ...options, isAnswering: () => this.hasWork });
  }

  get hasWork(): boolean {
    return this.#loads.length > 0 || this.#warm.batches.some(({ hasWork }) => hasWork);
  }

  /** Between two steps. */
  async handle(message: Exclude<ToServing, { type: "stop" }>): Promise<void> {
    if (message.type === "add") await this.#add(message.request);
    else if (message.type === "cancel") this.#cancel(message.id);
    else if (message.type === "keep") void this.#keeping.write(message);
    else if (message.type === "kept") await this.#keeping.end(message);
    else this.#budgetBytes = message.bytes;
    this.#settle();
  }

  /** One pass, or a part of loading a model. */
  async step(): Promise<void> {
    const batches = this.#warm.batches.filter(({ hasWork }) => hasWork);
    const [load] = this.#loads;
    await this.#scheduler.step([...batches, ...(load ? [load.work] : [])]);
    if (load?.work.ended) this.#loads.shift();
    this.#settle();
  }

  /** Frees all memory. */
  end(): void {
    for (const { request, warm } of this.#open.values()) warm.batch.drop(request);
    this.#warm.free();
  }

  async #add(request: ServingRequest): Promise<void> {
    this.#numbered += 1;
    const waiting = { request, calls: this.#options.calls(this.#numbered) };
    try {
      const warm = await this.#warm.find(request.model);
      if (warm) await this.#start(waiting, warm);
      else if (request.model.checkpoint?.isStored === true && needsReplay(request.model))
        this.#options.send({ type: "rebuild", id: request.id });
      else this.#load(waiting);
    } catch (error) {
      this.#failed(request.id, error);
    }
  }

  #load(waiting: Waiting): void {
    const { model, id } = waiting.request;
    const key = keyOfModel(model);
    this.#options.send({ type: "loading", id, isReplay: needsReplay(model) });
    const load = this.#loads.find((other) => other.key === key && other.waiting);
    if (load) load.waiting?.push(waiting);
    else this.#loads.push(this.#newLoad(key, model, waiting));
  }

  #newLoad(key: string, model: ServedModel, first: Waiting): Load {
    const work = new Stepwise(async (beforePart) => {
      const loading = { calls: first.calls, beforePart, now: this.#options.now, budgetBytes: this.#budgetBytes };
      try {
        const warm = await this.#warm.load(model, loading);
        for (const one of taken(load)) await this.#startOrFail(one, warm);
        warm.users.delete(loading);
      } catch (error) {
        const needsFolder = error instanceof LacksMemory || (await lacksFolder(model));
        for (const { request } of taken(load)) {
          if (needsFolder) this.#options.send({ type: "rebuild", id: request.id });
          else this.#failed(request.id, error);
        }
      }
    });
    const load: Load = { key, waiting: [first], work };
    return load;
  }

  async #startOrFail(waiting: Waiting, warm: Warm): Promise<void> {
    try {
      await this.#start(waiting, warm);
    } catch (error) {
      this.#failed(waiting.request.id, error);
    }
  }

  async #start({ request, calls }: Waiting, warm: Warm): Promise<void> {
    this.#keeping.begin(warm);
    const { id, task, prompt, done } = request;
    const answering = { model: warm.model, texts: warm.tokenizer.textsFor(calls), heard: this.#heard(id) };
    const [open, prompts]: [OpenRequest, readonly PromptUse[]] =
      task.kind === "SCORE"
        ? Scoring.start({ ...answering, task })
        : await Generating.start({ ...answering, task }, prompt, done);
    if (!open.isOpen) return;
    const bytes = open.mostTokens * cacheBytesPerToken(warm.model.folder.architecture);
    this.#open.set(id, { request: open, warm, bytes, prompts });
    warm.users.add(open);
  }

  /** Begins requests whose caches fit the budget, in the order in which they came; one always. */
  #admit(): void {
    const begun = [...this.#open.values()].filter(({ prompts }) => prompts === null);
    let left = begun.reduce((rest, { bytes }) => rest - bytes, this.#budgetBytes - this.#warm.pinnedBytes);
    let isIdle = begun.length === 0;
    for (const open of this.#open.values()) {
      if (open.prompts === null) continue;
      if (open.bytes > left && !isIdle) break;
      for (const prompt of open.prompts) open.warm.batch.addPrompt(prompt);
      open.prompts = null;
      left -= open.bytes;
      isIdle = false;
    }
  }

  #heard(id: string): Heard {
    const { send } = this.#options;
    return {
      piece: (piece) => send({ type: "piece", id, piece }),
      ended: (usage, scores) => {
        this.#forget(id);
        send({ type: "ended", id, usage, scores });
      },
      failed: (error) => {
        this.#forget(id);
        this.#failed(id, error);
      },
    };
  }

  #forget(id: string): void {
    const open = this.#open.get(id);
    open?.warm.users.delete(open.request);
    this.#open.delete(id);
  }

  #failed(id: string, error: unknown): void {
    const { code, message, issues } = asSteplogError(error);
    this.#options.send({ type: "failed", id, code, message, issues });
  }

  #cancel(id: string): void {
    const open = this.#open.get(id);
    if (open) {
      open.request.cancel();
      open.warm.batch.drop(open.request);
      return;
    }
    for (const { waiting } of this.#loads) {
      const at = waiting?.findIndex(({ request }) => request.id === id) ?? -1;
      if (!waiting || at < 0) continue;
      waiting.splice(at, 1);
      this.#options.send({ type: "ended", id, usage: nothing, scores: null });
    }
  }

  /** Begins what has room, keeps to the budget, and tells which models are warm if that has changed. */
  #settle(): void {
    this.#admit();
    this.#warm.trim(this.#budgetBytes);
    if (this.#warm.changes === this.#told) return;
    this.#told = this.#warm.changes;
    const models = this.#warm.all.map(({ base, chain, bytes }) => ({ base, chain, bytes }));
    this.#options.send({ type: "warm", models, bytes: this.#warm.bytes });
  }
}

function taken(load: Load): readonly Waiting[] {
  const { waiting } = load;
  load.waiting = null;
  return waiting ?? [];
}
