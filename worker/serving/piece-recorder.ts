/**
 * Turns tokens into stored pieces. The first tokens of a choice, and the end of a request, go into the store at once; others
 * wait until the oldest is `pieceMs` old. Whatever waits then goes together, of all requests, in one transaction, and pieces of
 * one choice that follow each other become one. One write at a time: what comes meanwhile is in the next one.
 */
import type { CompletionStage, Piece } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { pieceMs } from "../../schema/limits.ts";
import type { Answered, CompletionEnd, Store } from "../../store/store.ts";
import { withRetries } from "../with-retries.ts";
import type { Held } from "./held.ts";

export interface RecorderEvents {
  /** Of a write: its tokens are stored, and so is its end if it had one. */
  written(held: Held, ended: boolean): void;
  /** Somebody asked to cancel it. */
  cancel(held: Held): void;
  /** It is another worker's now, or was deleted. */
  lost(held: Held): void;
  /** It could not be written. */
  failed(held: Held, error: unknown): void;
}

interface Pending {
  pieces: Piece[];
  stage: CompletionStage | null;
  end: CompletionEnd | null;
}

export class PieceRecorder {
  readonly #store: Pick<Store, "appendPieces" | "setStage">;
  readonly #events: RecorderEvents;
  #pending = new Map<Held, Pending>();
  /** What answers, as completions record it. */
  device = "";
  #due: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | null = null;
  /** Of what is being written, those that end. */
  #ending: ReadonlySet<Held> = new Set();

  constructor(store: Pick<Store, "appendPieces" | "setStage">, events: RecorderEvents) {
    this.#store = store;
    this.#events = events;
  }

  add(held: Held, piece: Piece): void {
    const pending = this.#of(held);
    const last = pending.pieces.at(-1);
    if (last && follows(last, piece)) pending.pieces[pending.pieces.length - 1] = joined(last, piece);
    else pending.pieces.push(piece);
    this.#wait(piece.firstToken === 0 ? 0 : pieceMs);
  }

  stage(held: Held, stage: CompletionStage): void {
    this.#of(held).stage = stage;
    this.#wait(0);
  }

  end(held: Held, end: CompletionEnd): void {
    this.#of(held).end = end;
    this.#wait(0);
  }

  /** Whether its end waits to be written, or is being written. */
  isEnding(held: Held): boolean {
    return this.#ending.has(held) || (this.#pending.get(held)?.end ?? null) !== null;
  }

  /** What waits of it is not written. */
  drop(held: Held): void {
    this.#pending.delete(held);
  }

  /** Returns when nothing waits any more. */
  async flush(): Promise<void> {
    while (this.#pending.size > 0 || this.#writing) {
      this.#write();
      await this.#writing;
    }
  }

  #of(held: Held): Pending {
    const known = this.#pending.get(held);
    if (known) return known;
    const pending: Pending = { pieces: [], stage: null, end: null };
    this.#pending.set(held, pending);
    return pending;
  }

  /** Has what waits written within the time. */
  #wait(ms: number): void {
    const due = performance.now() + ms;
    if (this.#due !== null && this.#due <= due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    if (this.#writing) return;
    // A turn of the event loop lets what the thread sent together go together.
    if (ms === 0) setImmediate(() => this.#write());
    else this.#timer = setTimeout(() => this.#write(), ms);
  }

  #write(): void {
    if (this.#writing) return;
    clearTimeout(this.#timer);
    this.#due = null;
    // What waited may have been dropped. What comes next must not take it for something that will be written.
    if (this.#pending.size === 0) return;
    const batch = this.#pending;
    this.#pending = new Map();
    this.#ending = new Set([...batch].flatMap(([held, { end }]) => (end === null ? [] : [held])));
    this.#writing = this.#writeAll(batch).finally(() => {
      this.#ending = new Set();
      this.#writing = null;
      if (this.#due !== null) this.#timer = setTimeout(() => this.#write(), Math.max(0, this.#due - performance.now()));
    });
  }

  async #writeAll(batch: ReadonlyMap<Held, Pending>): Promise<void> {
    await Promise.all([...batch].map(([held, { stage }]) => this.#setStage(held, stage)));
    const mine = [...batch].filter(([, { pieces, end }]) => pieces.length > 0 || end !== null);
    if (mine.length === 0) return;
    try {
      await this.#append(mine);
    } catch (error) {
      // One that the store cannot take must not end the others.
      if (mine.length === 1 || isUnavailable(error)) for (const [held] of mine) this.#fail(held, error);
      else for (const one of mine) await this.#append([one]).catch((why: unknown) => this.#fail(one[0], why));
    }
  }

  async #append(mine: readonly (readonly [Held, Pending])[]): Promise<void> {
    const answers = mine.map(([held, { pieces, end }]): Answered => ({
      job: held.job,
      after: held.pieces,
      pieces,
      end,
      ...(end && { seconds: held.seconds() }),
    }));
    const wanted = await withRetries(() => this.#store.appendPieces(answers, this.device));
    for (const [index, [held, { pieces, end }]] of mine.entries()) {
      const answer = wanted[index];
      if (answer) held.pieces += pieces.length;
      if (!answer) this.#events.lost(held);
      else this.#events.written(held, end !== null);
      if (answer === "CANCEL" && end === null) this.#events.cancel(held);
    }
  }

  /** What comes after it cannot be written either. */
  #fail(held: Held, error: unknown): void {
    this.#pending.delete(held);
    this.#events.failed(held, error);
  }

  async #setStage(held: Held, stage: CompletionStage | null): Promise<void> {
    if (stage) await this.#store.setStage(held.job, stage).catch(() => {});
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SteplogError && error.code === "UNAVAILABLE";
}

function follows(last: Piece, next: Piece): boolean {
  return (
    last.choice === next.choice && last.finish === null && last.firstToken + last.tokens.length === next.firstToken
  );
}

function joined(last: Piece, next: Piece): Piece {
  const logprobs = last.logprobs && next.logprobs ? [...last.logprobs, ...next.logprobs] : null;
  return {
    ...last,
    tokens: [...last.tokens, ...next.tokens],
    text: last.text + next.text,
    logprobs,
    finish: next.finish,
  };
}
