/**
 * Server-sent events of an answer that is being written. Status and headers go out with the first chunk, so that an error
 * before it has its own status. Where the first chunk is long in coming, comments keep proxies from giving up.
 */
import type { ServerResponse } from "node:http";
import { once } from "node:events";
import type { OpenAIError } from "./errors.ts";

/** How often a client that waits hears something. */
const commentMs = 10_000;

export class EventStream {
  readonly #response: ServerResponse;
  #waiting: NodeJS.Timeout;

  constructor(response: ServerResponse, everyMs = commentMs) {
    this.#response = response;
    this.#waiting = setInterval(() => this.#write(": waiting\n\n"), everyMs);
    response.once("close", () => clearInterval(this.#waiting));
  }

  /** Whether the status is sent, so that an error can only be told in the stream. */
  get started(): boolean {
    return this.#response.headersSent;
  }

  /** Resolves when the client takes more, or has left. */
  async send(chunk: object): Promise<void> {
    this.#waiting.refresh();
    const room = this.#write(`data: ${JSON.stringify(chunk)}\n\n`);
    if (!room && !this.#response.destroyed) await drained(this.#response);
  }

  /** The end of a whole answer. */
  end(): void {
    this.#write("data: [DONE]\n\n");
    this.#close();
  }

  /** The end of an answer that broke off. */
  fail(error: OpenAIError): void {
    this.#write(`data: ${JSON.stringify({ error })}\n\n`);
    this.#close();
  }

  /** Stops the comments; who sends an error with a status of its own calls it first. */
  dispose(): void {
    clearInterval(this.#waiting);
  }

  #close(): void {
    this.dispose();
    this.#response.end();
  }

  #write(text: string): boolean {
    const response = this.#response;
    if (response.destroyed) return false;
    if (!response.headersSent) {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
    }
    return response.write(text);
  }
}

async function drained(response: ServerResponse): Promise<void> {
  const left = new AbortController();
  const gone = () => left.abort();
  response.once("close", gone);
  await once(response, "drain", { signal: left.signal }).catch(() => {});
  response.off("close", gone);
}
