/**
 * What is open under a key ends with it at once, but for answers that are being made: the request that ended the key is one of
 * them, and its answer may have the key's successor, which is told once. They have a moment to be sent.
 */
import type { ServerResponse } from "node:http";

const lastAnswerMs = 2_000;

/** An answer may take as long as a run: one that has begun ends with its key. */
export function endResponse(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else setTimeout(() => response.destroy(), lastAnswerMs).unref();
}

/** Of one WebSocket: its queries and mutations that are being answered, by the ids that the client gave them. */
export class LastAnswers {
  readonly #open = new Set<string>();
  /** What closes the socket; null while its key is good. */
  #close: (() => void) | null = null;

  begin(id: string): void {
    this.#open.add(id);
  }

  /** Called when all has been given to the socket but the message that says so, which follows in this turn of the event loop. */
  done(id: string): void {
    setImmediate(() => {
      this.#open.delete(id);
      if (this.#open.size === 0) this.#close?.();
    });
  }

  /** The key has ended. It may be said more than once. */
  end(close: () => void): void {
    if (this.#close) return;
    this.#close = close;
    if (this.#open.size === 0) close();
    else setTimeout(close, lastAnswerMs).unref();
  }

  /** Subscriptions are over once the key has ended, and so is what was asked afterwards. */
  maySend(message: string): boolean {
    return this.#close === null || this.#open.has(idOf(message));
  }
}

/** Of a message in the protocol graphql-transport-ws; "" for one that is of no operation. */
function idOf(message: string): string {
  const read: unknown = JSON.parse(message);
  return typeof read === "object" && read !== null && "id" in read && typeof read.id === "string" ? read.id : "";
}
