/** A server without its thread: requests go in, steps are taken, and what is told is collected. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import type { Device, Precision } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { targetedModules, seededLora } from "../../engine/model/adapters/lora.ts";
import { seededPrefix } from "../../engine/model/adapters/prefix.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { logHeader } from "../../engine/train/log-header.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { ruleSeed } from "../../schema/log-entries.ts";
import { encodeEntries } from "../../schema/step-log.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { Serving } from "../../engine/serving/serve.ts";
import { unwatchedCalls } from "../../engine/thread/foreign.ts";
import type { DoneChoice, FromServing, ServedModel, ServingRequest } from "../../engine/thread/serving-messages.ts";
import type { CompletionTask, GenerateTask, Sampling, ScoreTask } from "../../schema/completion.ts";
import { samplingSchema } from "../../schema/completion.ts";
import type { ErrorCode } from "../../schema/errors.ts";
import { golden, randomModel, scratch } from "../support/models.ts";

export const tinyLlama = {
  model_type: "llama",
  vocab_size: 300,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 400,
  initializer_range: 0.4,
  rms_norm_eps: 1e-6,
  eos_token_id: 2,
};

/** A random model with a tokenizer; the base itself. */
export async function served(config: object = {}, tokenizer: string | null = "bytelevel-gpt2"): Promise<ServedModel> {
  const modelPath = await randomModel("F32", { ...tinyLlama, ...config });
  if (tokenizer !== null)
    for (const file of ["tokenizer.json", "tokenizer_config.json"])
      await cp(golden("tokenizers", tokenizer, file), join(modelPath, file));
  const base = await baseHash(await openModelFolder(modelPath));
  return { modelPath, base, hashesDir: await scratch(), checkpoint: null };
}

const settings: MezoSettings = {
  steps: 3,
  batchSize: 1,
  learningRate: 0.05,
  epsilon: 0.01,
  weightDecay: 0,
  noise: "rademacher",
  seed: 3,
};

/** A checkpoint of a log with some entries, which train an adapter or the whole model. */
export async function checkpointOf(
  base: ServedModel,
  kind: "lora" | "prefix" | "full",
  chain: string,
  scalar = 0.25,
  targets: readonly string[] = [],
): Promise<{ model: ServedModel; loaded: Model }> {
  const folder = await openModelFolder(base.modelPath);
  const adapter =
    kind === "lora"
      ? seededLora(targetedModules(folder.architecture, targets), { rank: 2, alpha: 8, seed: 3 })
      : kind === "prefix"
        ? seededPrefix(folder, 4, 3)
        : null;
  const loaded = await loadModel(folder, createPlainDevice(), settings.noise, { adapter });
  const entries = [0, 1, 2].map((entry) => ({ seed: ruleSeed(settings.seed, entry), scalar }));
  loaded.update(entries);
  const header = logHeader(base.base, loaded, settings, adapter?.header);
  const checkpoint = {
    chain,
    log: encodeEntries(header, entries),
    digest: await loaded.digest(),
    folder: null,
    isStored: false,
  };
  return { model: { ...base, checkpoint }, loaded };
}

export function generating(changes: Partial<Omit<GenerateTask, "sampling">> = {}, sampling: Partial<Sampling> = {}) {
  const all = samplingSchema.parse({ seed: 5, ...sampling });
  return { kind: "GENERATE", maxTokens: 12, n: 1, stop: [], logprobs: null, ...changes, sampling: all } as const;
}

export function scoring(rows: ScoreTask["rows"], logprobs: number | null = null): ScoreTask {
  return { kind: "SCORE", rows, logprobs, labels: null };
}

/** `length` tokens that differ from seed to seed. */
export function promptOf(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => 3 + ((seed * 7919 + i * (i + 31 * seed)) % 290));
}

export interface Choice {
  tokens: number[];
  text: string;
  finish: string | null;
  /** Every bit of them tells which kernels computed the logits. */
  logprobs: number[];
}

export interface Answer {
  readonly choices: Choice[];
  ended: Extract<FromServing, { type: "ended" }> | null;
  code: ErrorCode | null;
  message: string;
}

interface Asked {
  readonly id: string;
  readonly model: ServedModel;
  readonly task: CompletionTask;
  readonly prompt?: readonly number[];
  readonly done?: readonly DoneChoice[];
}

export class Server {
  readonly told: FromServing[] = [];
  readonly answers = new Map<string, Answer>();
  readonly #serving: Serving;

  constructor(
    device: Device,
    options: { precision?: Precision | "auto"; sequences?: number; budgetBytes?: number; now?: () => number } = {},
  ) {
    const send = (message: FromServing) => this.#take(message);
    const calls = () => unwatchedCalls;
    const usual = { precision: "auto", sequences: 16, budgetBytes: 2 ** 30, now: Date.now } as const;
    this.#serving = new Serving(device, { ...usual, ...options, calls, send });
  }

  async add({ prompt = [], done = [], ...asked }: Asked): Promise<void> {
    this.answers.set(asked.id, { choices: [], ended: null, code: null, message: "" });
    const request: ServingRequest = { ...asked, prompt: Int32Array.from(prompt), done };
    await this.#serving.handle({ type: "add", request });
  }

  cancel(id: string): Promise<void> {
    return this.#serving.handle({ type: "cancel", id });
  }

  /** Memory for weights and caches from now on. */
  budget(bytes: number): Promise<void> {
    return this.#serving.handle({ type: "budget", bytes });
  }

  /** Has a checkpoint that was `replayed` written into a folder. Returns the code of what was wrong, or null. */
  async keep({ base, checkpoint }: ServedModel, folder: string): Promise<ErrorCode | null> {
    const [chain, before] = [checkpoint?.chain ?? "", this.#written.length];
    await this.#serving.handle({ type: "keep", base, chain, folder });
    for (;;) {
      const written = this.#written[before];
      if (written) return written.failure?.code ?? null;
      await new Promise(setImmediate);
    }
  }

  /** Says that it is in the folder, or that it is in none. */
  kept({ base, checkpoint }: ServedModel, folder: string | null): Promise<void> {
    return this.#serving.handle({ type: "kept", base, chain: checkpoint?.chain ?? "", folder });
  }

  get #written() {
    return this.told.flatMap((message) => (message.type === "written" ? [message] : []));
  }

  /** Steps until `until` holds, or everything is done. */
  async run(until: () => boolean = () => false): Promise<void> {
    while (this.#serving.hasWork && !until()) await this.#serving.step();
  }

  end(): void {
    this.#serving.end();
  }

  answer(id: string): Answer {
    const answer = this.answers.get(id);
    if (!answer) throw new Error(`nobody asked ${id}`);
    return answer;
  }

  /** The first choice of a request that runs alone. */
  async alone(asked: Omit<Asked, "id">): Promise<Choice> {
    await this.add({ ...asked, id: "alone" });
    await this.run();
    const [choice] = this.answer("alone").choices;
    if (!choice) throw new Error(this.answer("alone").message);
    return choice;
  }

  get warm() {
    const [last] = this.told.filter(({ type }) => type === "warm").slice(-1);
    return last?.type === "warm" ? last.models : [];
  }

  #take(message: FromServing): void {
    this.told.push(message);
    if (!("id" in message)) return;
    const answer = this.answer(message.id);
    if (message.type === "ended") answer.ended = message;
    if (message.type === "failed") [answer.code, answer.message] = [message.code, message.message];
    if (message.type !== "piece") return;
    const { choice, tokens, text, finish, logprobs } = message.piece;
    const of = (answer.choices[choice] ??= { tokens: [], text: "", finish: null, logprobs: [] });
    of.tokens.push(...tokens);
    of.text += text;
    of.finish = finish;
    of.logprobs.push(...(logprobs ?? []).map(({ logprob }) => logprob));
  }
}
