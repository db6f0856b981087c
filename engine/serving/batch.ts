/**
 * All sequences of one base, of itself and of its adapters: they join and leave between tokens. A step is one pass: a few pieces of prompts, or one token of
 * every sequence. While both wait they take turns, so that a new prompt delays the others by one piece at a time.
 *
 * Where the device keeps rows apart, each sequence has the bits that it has alone: prompts and decoding never share a pass, and
 * neither do sequences on both sides of the length at which longrope changes its frequencies.
 */
import type { PackedTokens } from "../model/families/family.ts";
import type { AdaptedRun } from "./adapted-rows.ts";
import type { SequenceCaches } from "./caches.ts";
import { byLayer, cacheBytesPerToken, copyCaches, freeCaches } from "./caches.ts";
import type { LoadedModel } from "./loaded-base.ts";
import type { KeptPrompts } from "./kept-prompts.ts";
import { pieceTokens } from "./kept-prompts.ts";
import type { PromptPiece, PromptUse } from "./prompt-pieces.ts";
import { Prompt, nextPieces, outputsOf } from "./prompt-pieces.ts";
import type { Asker, Sequence } from "./sequence.ts";
import { SequencesPrompt } from "./sequences-prompt.ts";

export interface BatchOptions {
  /** Sequences in one pass, at most. */
  readonly sequences: number;
  /** Keys and values of earlier prompts; null keeps none. */
  readonly kept: KeptPrompts | null;
}

export class Batch {
  readonly #model: LoadedModel;
  readonly #options: BatchOptions;
  #prompts: Prompt[] = [];
  /** Those that have waited longest come first. */
  #sequences: Sequence[] = [];
  /** Sequences that were in a pass which failed: they get passes of their own until they are longer than they were then. */
  readonly #alone = new WeakMap<Sequence, number>();
  #lastWasPrompt = false;

  constructor(model: LoadedModel, options: BatchOptions) {
    this.#model = model;
    this.#options = options;
  }

  get hasWork(): boolean {
    return this.#prompts.length + this.#sequences.length > 0;
  }

  /** Of the caches of everything that is not done. */
  get cachedBytes(): number {
    const prompts = this.#prompts.reduce((total, { computed }) => total + computed, 0);
    const tokens = this.#sequences.reduce((total, { length }) => total + length, prompts);
    return tokens * cacheBytesPerToken(this.#model.folder.architecture);
  }

  addPrompt(use: PromptUse): void {
    this.#prompts.push(new Prompt(use, { isWhole: use.tokens.length > this.#limit }));
  }

  /** Lets go of all that somebody asked for. Never while a pass runs. */
  drop(asker: Asker): void {
    for (const prompt of this.#prompts) if (prompt.use.asker === asker) prompt.free(this.#model.device);
    for (const sequence of this.#sequences) if (sequence.asker === asker) this.#free(sequence);
    this.#prompts = this.#prompts.filter(({ use }) => use.asker !== asker);
    this.#sequences = this.#sequences.filter((sequence) => sequence.asker !== asker);
  }

  /** One pass. */
  async step(): Promise<void> {
    const isDecoding = this.#sequences.length > 0;
    const isPrompt = this.#prompts.length > 0 && !(isDecoding && this.#lastWasPrompt);
    this.#lastWasPrompt = isPrompt;
    if (isPrompt) {
      const prompts = this.#startable();
      for (const prompt of prompts) if (!prompt.started) this.#reuse(prompt);
      await this.#computePrompts(nextPieces(prompts, isDecoding));
    } else if (isDecoding) await this.#decode(this.#nextSequences());
  }

  /** Tokens up to which cached keys stay valid. */
  get #limit(): number {
    return (this.#model.folder.architecture.cacheLimit ?? Infinity) - this.#model.prefixLength;
  }

  /** Prompts that need not wait for another one of their model which starts alike, and will be kept. */
  #startable(): Prompt[] {
    const starts = new Map<LoadedModel, Set<string>>();
    return this.#prompts.filter((prompt) => {
      const start = this.#isKept(prompt) ? prompt.start : null;
      if (start === null) return true;
      const { model } = prompt.use.asker;
      const own = starts.get(model) ?? new Set();
      starts.set(model, own);
      const isFirst = !own.has(start);
      own.add(start);
      return isFirst || prompt.started;
    });
  }

  #isKept(prompt: Prompt): boolean {
    return this.#options.kept !== null && !prompt.isWhole && !prompt.isAlone;
  }

  async #computePrompts(unsorted: readonly PromptPiece[]): Promise<void> {
    const { chosen: pieces, runs } = byModel(unsorted, ({ prompt, length }) => ({
      model: prompt.use.asker.model,
      rows: length,
    }));
    const outputs = await this.#promptPass(pieces, runs).catch((error: unknown) => this.#restartPrompts(pieces, error));
    if (!outputs) return;
    const all = pieces.reduce((total, { prompt, length }) => total + outputsOf(prompt, length), 0);
    let row = 0;
    for (const { prompt, length } of pieces) {
      const count = outputsOf(prompt, length);
      const width = outputs.length / Math.max(1, all);
      const rows = outputs.subarray(row * width, (row + count) * width);
      row += count;
      await this.#guarded(prompt.use.asker, () => this.#handOut(prompt, length, rows, count));
    }
  }

  /** The wanted outputs of all pieces, one after the other. */
  async #promptPass(pieces: readonly PromptPiece[], runs: readonly AdaptedRun[]): Promise<Float32Array | Float64Array> {
    const { device, folder } = this.#model;
    const tokens = this.#packed(
      pieces.map(({ prompt, length }) => ({
        ids: prompt.use.tokens.subarray(prompt.computed, prompt.computed + length),
        past: prompt.computed,
        caches: prompt.cachesOn(device, folder.architecture),
      })),
    );
    const positions = wantedRows(pieces);
    const isLosses = pieces.some(({ prompt }) => prompt.use.targets !== null);
    const passes = this.#model.prompts(runs);
    return isLosses ? passes.targetLosses(tokens, positions, targetsOf(pieces)) : passes.logits(tokens, positions);
  }

  async #handOut(prompt: Prompt, length: number, outputs: Float32Array | Float64Array, count: number): Promise<void> {
    const { use } = prompt;
    const before = prompt.computed;
    prompt.advance(length);
    if (count > 0) use.hear(outputs, Math.max(0, before - use.wantedFrom), count);
    this.#keep(prompt, before);
    if (prompt.left > 0) return;
    this.#prompts = this.#prompts.filter((other) => other !== prompt);
    for (const sequence of await use.end(prompt.take())) this.#place(sequence);
  }

  /** Starts with what is kept of an equal prompt. */
  #reuse(prompt: Prompt): void {
    const { tokens, wantedFrom, asker } = prompt.use;
    const found = this.#isKept(prompt) ? this.#options.kept?.find(asker.model, tokens, wantedFrom) : null;
    if (!found) return;
    prompt.startWith(copyCaches(this.#model.device, found.caches, found.tokens), found.tokens);
    prompt.use.reused(found.tokens);
  }

  #keep(prompt: Prompt, before: number): void {
    const { kept } = this.#options;
    const { tokens, wantedFrom, asker } = prompt.use;
    const worth = Math.floor(wantedFrom / pieceTokens) * pieceTokens;
    if (!kept || !this.#isKept(prompt) || before >= worth || prompt.computed < worth) return;
    const { device, folder } = this.#model;
    const caches = copyCaches(device, prompt.cachesOn(device, folder.architecture), worth);
    const bytes = worth * cacheBytesPerToken(folder.architecture);
    kept.keep(asker.model, tokens.subarray(0, worth), { caches, bytes, free: () => freeCaches(device, caches) });
  }

  /** After a pass that failed its caches are worth nothing. Whose fault it was is seen when each has a pass of its own. */
  #restartPrompts(pieces: readonly PromptPiece[], error: unknown): null {
    for (const { prompt } of pieces) {
      prompt.free(this.#model.device);
      const at = this.#prompts.indexOf(prompt);
      const again = new Prompt(prompt.use, { isWhole: prompt.isWhole, isAlone: true });
      if (pieces.length > 1) this.#prompts.splice(at, 1, again);
      else this.#fail(prompt.use.asker, error);
    }
    return null;
  }

  #nextSequences(): Sequence[] {
    const [first] = this.#sequences;
    if (!first) return [];
    if (this.#alone.has(first)) return [first];
    const isLong = (sequence: Sequence) => sequence.length >= this.#limit;
    return this.#sequences
      .filter((sequence) => !this.#alone.has(sequence) && isLong(sequence) === isLong(first))
      .slice(0, this.#options.sequences);
  }

  async #decode(unsorted: readonly Sequence[]): Promise<void> {
    const { chosen, runs } = byModel(unsorted, (sequence) => ({ model: sequence.asker.model, rows: 1 }));
    const tokens = this.#packed(
      chosen.map((sequence) => ({
        ids: Int32Array.of(sequence.next),
        past: sequence.length,
        caches: sequence.caches,
      })),
    );
    const rows = Int32Array.from(chosen.keys());
    const logits = await this.#model
      .decoding(runs)
      .logits(tokens, rows)
      .catch((error: unknown) => {
        this.#restartSequences(chosen, error);
        return null;
      });
    if (!logits) return;
    this.#sequences = this.#sequences.filter((sequence) => !chosen.includes(sequence));
    const width = logits.length / chosen.length;
    for (const [row, sequence] of chosen.entries()) {
      sequence.grow();
      if (sequence.length > (this.#alone.get(sequence) ?? 0)) this.#alone.delete(sequence);
      await this.#guarded(sequence.asker, () => sequence.take(logits.subarray(row * width, (row + 1) * width)));
      this.#place(sequence);
    }
  }

  #restartSequences(chosen: readonly Sequence[], error: unknown): void {
    for (const sequence of chosen) {
      this.#alone.set(sequence, sequence.length);
      this.#free(sequence);
      this.#sequences = this.#sequences.filter((other) => other !== sequence);
      if (chosen.length === 1) this.#fail(sequence.asker, error);
      else this.#restart(sequence, sequence.prompt, true);
    }
  }

  /** Where a sequence belongs after a token. */
  #place(sequence: Sequence): void {
    if (sequence.ended || !sequence.asker.isOpen) this.#free(sequence);
    else if (sequence.length !== this.#limit) this.#sequences.push(sequence);
    else {
      const { tokens } = sequence;
      this.#free(sequence);
      this.#restart(sequence, tokens, false);
    }
  }

  #restart(sequence: Sequence, tokens: Int32Array, isAlone: boolean): void {
    const use = new SequencesPrompt(sequence.asker, this.#model.device, tokens, [sequence]);
    this.#prompts.push(new Prompt(use, { isWhole: tokens.length > this.#limit, isAlone }));
  }

  #free(sequence: Sequence): void {
    freeCaches(this.#model.device, sequence.release());
  }

  /** What goes wrong with one request is its own failure. */
  async #guarded(asker: Asker, work: () => Promise<void>): Promise<void> {
    if (!asker.isOpen) return;
    try {
      await work();
    } catch (error) {
      this.#fail(asker, error);
    }
  }

  #fail(asker: Asker, error: unknown): void {
    asker.fail(error);
    this.drop(asker);
  }

  #packed(parts: readonly PackedPart[]): PackedTokens {
    return {
      ids: Int32Array.from(parts.flatMap(({ ids }) => [...ids])),
      lengths: parts.map(({ ids }) => ids.length),
      past: parts.map(({ past }) => past),
      caches: byLayer(
        parts.map(({ caches }) => caches),
        this.#model.folder.architecture,
      ),
    };
  }
}

interface PackedPart {
  readonly ids: Int32Array;
  readonly past: number;
  readonly caches: SequenceCaches;
}

/** Parts of a model one after the other, and what its adapter adds to their rows. */
function byModel<Part>(
  parts: readonly Part[],
  about: (part: Part) => { readonly model: LoadedModel; readonly rows: number },
): { chosen: Part[]; runs: AdaptedRun[] } {
  const chosen: Part[] = [];
  const runs: AdaptedRun[] = [];
  let first = 0;
  for (const model of new Set(parts.map((part) => about(part).model))) {
    const own = parts.filter((part) => about(part).model === model);
    const rows = own.reduce((total, part) => total + about(part).rows, 0);
    runs.push({ terms: model.terms, first, rows });
    chosen.push(...own);
    first += rows;
  }
  return { chosen, runs };
}

/** Rows of the packed pieces after which outputs are wanted. */
function wantedRows(pieces: readonly PromptPiece[]): Int32Array {
  let end = 0;
  return Int32Array.from(
    pieces.flatMap(({ prompt, length }) => {
      end += length;
      const count = outputsOf(prompt, length);
      return Array.from({ length: count }, (_, i) => end - count + i);
    }),
  );
}

function targetsOf(pieces: readonly PromptPiece[]): Int32Array {
  return Int32Array.from(
    pieces.flatMap(({ prompt, length }) => {
      const first = Math.max(0, prompt.computed - prompt.use.wantedFrom);
      return [...(prompt.use.targets?.subarray(first, first + outputsOf(prompt, length)) ?? [])];
    }),
  );
}
