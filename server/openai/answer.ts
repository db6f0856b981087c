/** What answers of both requests have in common. */
import type { FinishReason, Piece, Usage } from "../../schema/completion.ts";

/** What is the same in an answer and all its chunks. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  /** As it was asked for. */
  readonly model: string;
  /** Names what decides the bits of an answer; null while no worker has begun. */
  readonly fingerprint: string | null;
}

export function headOf({ id, created, model, fingerprint }: AnswerHead, object: string) {
  return { id, object, created, model, system_fingerprint: fingerprint };
}

/** Pieces of each choice, in order of choices. */
export function byChoice(pieces: readonly Piece[]): (readonly [number, readonly Piece[]])[] {
  const choices = [...new Set(pieces.map(({ choice }) => choice))].toSorted((a, b) => a - b);
  return choices.map((index) => [index, pieces.filter(({ choice }) => choice === index)] as const);
}

export function finishOf(finish: FinishReason | null, called = false): string | null {
  if (finish === null) return null;
  if (called) return "tool_calls";
  return finish === "LENGTH" ? "length" : "stop";
}

export function lastFinish(pieces: readonly Piece[]): FinishReason | null {
  return pieces.findLast(({ finish }) => finish !== null)?.finish ?? null;
}

export function usageOf({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** JSON has no infinity; the protocol says -9999 for what is as good as impossible. */
export function finite(logprob: number): number {
  return Math.max(logprob, -9_999);
}
