/**
 * Server-sent events (protocol graphql-sse, distinct connections). Yoga's own would send each event as two pieces through a web
 * stream, at three times the cost. The next result is taken only while the connection takes what there is, so a client that
 * does not read holds a few results; stalled.ts hangs up on it.
 */
import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import type { ExecutionResult } from "graphql";
import { isAsyncIterable, type Plugin } from "graphql-yoga";
import { withoutStatus } from "./errors.ts";

/** A comment, so that proxies do not take a quiet stream for a dead one. */
const pingMs = 12_000;
/** Bytes that wait for the connection. */
const mostWaiting = 16_384;

export function eventStreams(): Plugin {
  return {
    // The processor before it was chosen by what the client accepts: only event streams carry several results.
    onResultProcess: (processing) => {
      if (!processing.resultProcessor || !isAsyncIterable(processing.result)) return;
      const { res } = processing.serverContext as { readonly res?: ServerResponse };
      const type = "text/event-stream";
      const headers = { "content-type": type, connection: "keep-alive", "cache-control": "no-cache" };
      processing.setResultProcessor((given, { Response }) => {
        const results = (given as AsyncIterable<ExecutionResult>)[Symbol.asyncIterator]();
        const body = new EventStream(results);
        // A broken connection, after which the client subscribes again; what the store fails with comes as a result.
        body.once("error", () => res?.destroy());
        // Yoga takes streams of Node too, which its types leave out.
        return new Response(body as never, { headers });
      }, type);
    },
  };
}

class EventStream extends Readable {
  readonly #results: AsyncIterator<ExecutionResult>;
  readonly #pings: ReturnType<typeof setInterval>;
  #isTaking = false;

  constructor(results: AsyncIterator<ExecutionResult>) {
    super({ highWaterMark: mostWaiting });
    this.#results = results;
    // Something at once: some clients show no answer before its first byte.
    this.push(":\n\n");
    this.#pings = setInterval(() => this.readableLength === 0 && this.push(":\n\n"), pingMs).unref();
  }

  override _read(): void {
    if (!this.#isTaking) void this.#take();
  }

  async #take(): Promise<void> {
    this.#isTaking = true;
    try {
      for (let hasRoom = true; hasRoom;) {
        const next = await this.#results.next();
        if (this.destroyed) return;
        if (next.done === true) {
          this.push("event: complete\ndata:\n\n");
          this.push(null);
          return;
        }
        hasRoom = this.push(`event: next\ndata: ${textOf(next.value)}\n\n`);
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isTaking = false;
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#pings);
    void this.#results.return?.();
    callback(error);
  }
}

function textOf({ errors, ...result }: ExecutionResult): string {
  return JSON.stringify(errors ? { ...result, errors: errors.map(withoutStatus) } : result);
}
