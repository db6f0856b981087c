/** Asking a model of the service: text as it is written, labels, scores. */
import * as operations from "./operations.ts";
import type { CompletionFragment, CompletionPiecesSubscription } from "./operations.ts";
import { Queue } from "./queue.ts";
import type { Streams } from "./streams.ts";

/** What was asked of a model, and what it has answered so far. */
export type Completion = CompletionFragment;

/** Consecutive tokens of one choice. */
export type CompletionPiece = CompletionPiecesSubscription["completionPieces"]["piece"];

/** `cursor` is what to pass as `after` to resume after this piece. */
export interface WrittenPiece {
  readonly cursor: number;
  readonly piece: CompletionPiece;
}

export interface PiecesOptions {
  /** Resume after this cursor; from the first piece when left out. */
  readonly after?: number;
  /** How long an outage may last before the iteration fails, milliseconds; 60000 when left out. */
  readonly patienceMs?: number;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A name by which requests call a model. */
export type Alias = operations.AliasFragment;

export type Classification = operations.ClassifyMutation["classify"][number];
export type ScoredText = operations.ScoreMutation["score"][number];

/** Every piece of a completion once and in order, until it ends. */
export async function* piecesOf(
  streams: Streams,
  id: string,
  { after = 0, patienceMs, signal: outer }: PiecesOptions & { readonly patienceMs: number },
): AsyncGenerator<WrittenPiece, void, undefined> {
  const ended = new AbortController();
  const signal = outer ? AbortSignal.any([outer, ended.signal]) : ended.signal;
  const queue = new Queue<WrittenPiece>();
  let seen = after;
  const reading = streams.run({
    operation: operations.completionPieces,
    variables: () => ({ id, after: seen }),
    onItem: ({ completionPieces: { cursor, piece } }) => {
      seen = cursor;
      queue.push({ cursor, piece });
    },
    patienceMs,
    signal,
  });
  queue.closeAfter(reading);
  try {
    yield* queue;
    outer?.throwIfAborted();
  } finally {
    ended.abort();
  }
}
