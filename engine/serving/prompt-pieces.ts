/**
 * Prompts are computed in pieces, so that sequences which are being decoded wait no longer than one piece, and several short
 * prompts share a pass. Pieces start at multiples of 64 tokens, as the work of attention is cut.
 */
import type { Device } from "../devices/device.ts";
import type { Architecture } from "../model/families/family.ts";
import { haveTermsAlike } from "./adapted-rows.ts";
import type { SequenceCaches } from "./caches.ts";
import { createCaches, freeCaches } from "./caches.ts";
import { pieceTokens, startOf } from "./kept-prompts.ts";
import type { Asker, Sequence } from "./sequence.ts";

/** Tokens of a pass over prompts: while sequences wait for their next token, and while none does. */
export const mostTokens = { beside: 128, alone: 512 } as const;
/** Logits of a token may take megabytes. */
const mostOutputs = 64;

/** What is made of the outputs of a prompt. */
export interface PromptUse {
  readonly asker: Asker;
  readonly tokens: Int32Array;
  /** Outputs are wanted after each token from this one on. */
  readonly wantedFrom: number;
  /** The token of which the loss is wanted, for each output; null for logits. */
  readonly targets: Int32Array | null;
  /** Takes outputs: [count] losses, or [count, vocab] logits; again from the first if a pass has failed in between. */
  hear(outputs: Float32Array | Float64Array, first: number, count: number): void;
  /** All is computed. Takes over the caches; returns the sequences that go on from there. */
  end(caches: SequenceCaches): Promise<readonly Sequence[]>;
  /** So many tokens were at hand, and need not be computed. */
  reused(tokens: number): void;
}

/** A prompt that is being computed. */
export class Prompt {
  readonly use: PromptUse;
  /** In one piece: longrope takes other frequencies for the whole of a sequence that is longer than its limit. */
  readonly isWhole: boolean;
  /** It shares no pass, since one that it was in has failed. */
  readonly isAlone: boolean;
  /** What it has in common with prompts that start alike; null if nothing of it will be kept. */
  readonly start: string | null;
  #caches: SequenceCaches | null = null;
  #computed = 0;

  constructor(use: PromptUse, { isWhole, isAlone = false }: { readonly isWhole: boolean; readonly isAlone?: boolean }) {
    this.use = use;
    this.isWhole = isWhole;
    this.isAlone = isAlone;
    this.start = startOf(use.tokens, use.wantedFrom);
  }

  get started(): boolean {
    return this.#caches !== null;
  }

  /** Tokens whose keys and values there are. */
  get computed(): number {
    return this.#computed;
  }

  get left(): number {
    return this.use.tokens.length - this.#computed;
  }

  /** Starts with what is there of it already. */
  startWith(caches: SequenceCaches, computed: number): void {
    this.#caches = caches;
    this.#computed = computed;
  }

  cachesOn(device: Device, architecture: Architecture): SequenceCaches {
    this.#caches ??= createCaches(device, architecture);
    return this.#caches;
  }

  advance(tokens: number): void {
    this.#computed += tokens;
  }

  /** The caches leave the prompt. */
  take(): SequenceCaches {
    const caches = this.#caches ?? [];
    this.#caches = null;
    return caches;
  }

  free(device: Device): void {
    freeCaches(device, this.take());
  }
}

export interface PromptPiece {
  readonly prompt: Prompt;
  readonly length: number;
}

/** The pieces of the next pass; prompts in front come first. `begin` is told of a prompt that has not started yet. */
export function nextPieces(
  prompts: readonly Prompt[],
  isDecoding: boolean,
  begin: (prompt: Prompt) => void = () => {},
): PromptPiece[] {
  const pieces: PromptPiece[] = [];
  let tokens: number = isDecoding ? mostTokens.beside : mostTokens.alone;
  let outputs = mostOutputs;
  for (const prompt of prompts) {
    const [first] = pieces;
    if (first && !mayShare(first.prompt, prompt)) continue;
    if (!prompt.started) begin(prompt);
    const length = pieceLength(prompt, tokens, outputs);
    if (length === 0) break;
    pieces.push({ prompt, length });
    tokens -= length;
    outputs -= outputsOf(prompt, length);
    if (tokens <= 0 || outputs <= 0) break;
  }
  return pieces;
}

function mayShare(a: Prompt, b: Prompt): boolean {
  if ([a, b].some(({ isWhole, isAlone }) => isWhole || isAlone)) return false;
  const [one, other] = [a.use.asker.model, b.use.asker.model];
  const isAlike = one === other || haveTermsAlike(one.terms, other.terms);
  return isAlike && (a.use.targets === null) === (b.use.targets === null);
}

/** Outputs within the next `length` tokens. */
export function outputsOf({ use, computed }: Prompt, length: number): number {
  return Math.max(0, computed + length - Math.max(use.wantedFrom, computed));
}

function pieceLength(prompt: Prompt, tokens: number, outputs: number): number {
  const { computed, left, isWhole } = prompt;
  if (isWhole) return left;
  const wanted = Math.max(0, prompt.use.wantedFrom - computed) + outputs;
  const most = Math.min(tokens, wanted);
  if (left <= most) return left;
  return Math.max(0, Math.floor((computed + most) / pieceTokens) * pieceTokens - computed);
}
