/**
 * The requests of one query, one file or one push, through a fetch of our own: it adds the token for the hub alone, turns what
 * the hub refuses into errors, and ends after silence.
 */
import { SteplogError } from "../../schema/errors.ts";
import type { HubToken } from "./token.ts";

export interface HubAccess {
  /** Address of the hub or of a mirror. */
  readonly endpoint: string;
  readonly token: HubToken | undefined;
}

export interface HubOptions {
  /** How long a connection may be without data, milliseconds. */
  readonly silenceMs: number;
  /** Sends a request, through a proxy if there is one. */
  readonly fetch: typeof fetch;
}

export type Question<T> = (params: { hubUrl: string; fetch: typeof fetch }) => Promise<T>;

/** What an answer that is not a success means. */
export type Refusal = (response: Response) => Promise<SteplogError>;

export class Line {
  /** Why it ended, for the caller: the library passes on only the message of an error, or nothing. */
  failure: SteplogError | null = null;
  readonly #access: HubAccess;
  readonly #refusal: Refusal;
  readonly #send: typeof fetch;
  readonly #ending = new AbortController();
  readonly #patience: NodeJS.Timeout;
  readonly #onSent: (bytes: number) => void;

  constructor(
    access: HubAccess,
    refusal: Refusal,
    { silenceMs, fetch }: HubOptions,
    onSent: (bytes: number) => void = () => {},
  ) {
    this.#access = access;
    this.#refusal = refusal;
    this.#send = fetch;
    this.#onSent = onSent;
    this.#patience = setTimeout(() => {
      this.failure ??= unreachable(access, `it sent no data for ${silenceMs / 1000} s`);
      this.#ending.abort();
    }, silenceMs);
  }

  async ask<T>(question: Question<T>): Promise<T> {
    try {
      return await question({ hubUrl: this.#access.endpoint, fetch: this.fetch });
    } catch (error) {
      throw this.failure ?? notTheHub(this.#access, error);
    }
  }

  heard(): void {
    this.#patience.refresh();
  }

  close(): void {
    clearTimeout(this.#patience);
    this.#ending.abort();
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const { endpoint, token } = this.#access;
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    // fetch removes it when it follows a redirect to another origin.
    if (token && url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token.secret}`);
    const signal = init?.signal ? AbortSignal.any([this.#ending.signal, init.signal]) : this.#ending.signal;
    try {
      const response = await this.#send(url, { ...init, headers, signal, ...this.#watched(init?.body) });
      this.heard();
      if (!response.ok) throw await this.#refusal(response);
      if (isWhole(headers, response))
        throw unreachable(this.#access, "it does not support ranges, which downloads need");
      return response;
    } catch (error) {
      this.failure ??= error instanceof SteplogError ? error : unreachable(this.#access, reasonOf(error), error);
      throw this.failure;
    }
  };

  /** A file on its way to the hub is a sign of life too. */
  #watched(body: unknown): { body?: Blob } {
    if (!(body instanceof Blob)) return {};
    const onRead = (bytes: number) => {
      this.heard();
      this.#onSent(bytes);
    };
    return { body: new WatchedBlob(body, onRead) };
  }
}

/** A blob that tells of what is read of it. */
class WatchedBlob extends Blob {
  readonly #blob: Blob;
  readonly #onRead: (bytes: number) => void;

  constructor(blob: Blob, onRead: (bytes: number) => void) {
    super();
    this.#blob = blob;
    this.#onRead = onRead;
  }

  override get size(): number {
    return this.#blob.size;
  }

  override stream(): ReturnType<Blob["stream"]> {
    const watch = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.#onRead(chunk.length);
        controller.enqueue(chunk);
      },
    });
    return this.#blob.stream().pipeThrough(watch) as ReturnType<Blob["stream"]>;
  }
}

/** Whether the rest of a file was requested and all of it came, which would be appended to the bytes so far. */
function isWhole(headers: Headers, response: Response): boolean {
  const range = headers.get("range");
  // A request for one byte asks for the size, and the hub may answer it with other information on the file.
  return range !== null && range !== "bytes=0-0" && response.status !== 206;
}

/** "The hub answers 403, "...": what it says of itself, without control characters. */
export async function saidBy(response: Response): Promise<string> {
  const words = (response.headers.get("x-error-message") ?? (await wordsOf(response)))
    .replaceAll(/\p{Cc}/gu, " ")
    .slice(0, 300);
  return `The hub answers ${response.status}${words === "" ? "" : `, "${words}"`}`;
}

async function wordsOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
}

export function unreachable({ endpoint }: HubAccess, reason: string, cause?: unknown): SteplogError {
  return new SteplogError("UNAVAILABLE", `${endpoint} cannot be used: ${reason}.`, [], { cause });
}

/** The library's error for a response that is not a hub's. */
function notTheHub({ endpoint }: HubAccess, cause: unknown): SteplogError {
  const advice = "Check that HF_ENDPOINT is the address of a hub.";
  return new SteplogError(
    "UNAVAILABLE",
    `${endpoint} does not respond like a hub (${reasonOf(cause)}). ${advice}`,
    [],
    {
      cause,
    },
  );
}

/** fetch says only "fetch failed"; its innermost cause explains why. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
