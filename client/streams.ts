/**
 * Subscriptions that outlive connections. graphql-ws can reconnect by itself, but gives up silently on some closes; here
 * every break leads to a new subscription, whose variables are read again, so that a stream resumes after the last item
 * that it delivered.
 *
 * All streams of a client share one WebSocket, which opens with the first of them and closes with the last.
 */
import { createClient, type Client } from "graphql-ws/client";
import { SteplogError } from "../schema/errors.ts";
import { errorFrom, failureOf } from "./errors.ts";
import type { Operation } from "./operation.ts";
import { pause } from "./pause.ts";
import type { RateLimitWaits } from "./rate-limits.ts";

/** A socket that answers no ping for this long is dead, even if the network has not said so. */
const silenceMs = 20_000;
const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** graphql-ws closes a connection that the server refuses with this code. */
const forbidden = 4403;

export interface StreamOptions<Result, Variables> {
  readonly operation: Operation<Result, Variables>;
  /** Called before each subscription, so that it can name the last item seen. */
  readonly variables: () => Variables;
  readonly onItem: (item: Result) => void;
  /** Called with false when the connection breaks and with true when items arrive again. */
  readonly onLive?: ((live: boolean) => void) | undefined;
  /** How long an outage may last before the stream fails, milliseconds. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

export interface StreamsOptions {
  readonly url: string;
  readonly token: () => string | undefined;
  readonly webSocket: () => Promise<unknown>;
  readonly rateLimits: RateLimitWaits;
}

/** How one subscription ended. `contact`: whether the service answered before it broke. */
type Ending = { readonly complete: true } | { readonly complete: false; readonly contact: boolean; cause: unknown };

export class Streams {
  readonly #options: StreamsOptions;
  #client: Promise<Client> | null = null;
  /** Connections so far, and whether one is open. */
  #connections = 0;
  #open = false;
  /** The token that the newest connection was opened with. */
  #token: string | undefined;

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the stream is complete or the signal aborts.
   * @throws SteplogError: the service's own, or UNAVAILABLE when an outage outlasts `patienceMs`
   */
  async run<Result, Variables>(options: StreamOptions<Result, Variables>): Promise<void> {
    const { signal, patienceMs, onLive } = options;
    let pauseMs = firstPauseMs;
    let failingSince: number | null = null;
    while (!signal.aborted) {
      const ending = await this.#options.rateLimits.outlast(() => this.#subscribe(options), true, signal);
      if (ending.complete || signal.aborted) return;
      onLive?.(false);
      if (ending.contact) pauseMs = firstPauseMs;
      if (ending.contact || failingSince === null) failingSince = performance.now();
      if (performance.now() - failingSince >= patienceMs) throw failureOf(this.#options.url, ending.cause);
      await pause(pauseMs, signal);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  async #subscribe<Result, Variables>(options: StreamOptions<Result, Variables>): Promise<Ending> {
    const { operation, variables, onItem, onLive, signal } = options;
    const client = await (this.#client ??= this.#connect());
    const [before, wasOpen] = [this.#connections, this.#open];
    const payload = {
      query: operation.text,
      operationName: operation.name,
      // A getter: after a clean close graphql-ws subscribes again by itself, and must then resume after the last item too.
      get variables() {
        return variables() as Record<string, unknown>;
      },
    };
    let abort = () => {};
    const ending = new Promise<Ending>((resolve, reject) => {
      let received = false;
      const broken = (cause: unknown, contact: boolean) => resolve({ complete: false, contact, cause });
      const fail = (error: SteplogError) => {
        // UNAVAILABLE: the gateway answers, but something that it needs does not.
        if (error.code === "UNAVAILABLE") broken(error, received);
        else reject(error);
      };
      const stop = client.subscribe<Result>(payload, {
        next: ({ data, errors }) => {
          if (signal.aborted) return;
          if (errors) return fail(errorFrom(errors));
          received = true;
          onLive?.(true);
          if (data) onItem(data);
        },
        error: (cause) => {
          // Otherwise graphql-ws counts it as a subscription for ever, and keeps the socket of those after it open.
          stop();
          if (Array.isArray(cause)) fail(errorFrom(cause));
          else if (isRefusal(cause) && this.#options.token() === this.#token)
            fail(new SteplogError("UNAUTHENTICATED", "The service needs a valid API token."));
          else broken(cause, received || wasOpen || this.#connections > before);
        },
        complete: () => resolve({ complete: true }),
      });
      abort = () => {
        stop();
        resolve({ complete: true });
      };
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
    });
    return ending.finally(() => signal.removeEventListener("abort", abort));
  }

  async #connect(): Promise<Client> {
    let deadline: ReturnType<typeof setTimeout> | undefined;
    const client = createClient({
      url: `${this.#options.url.replace(/^http/u, "ws")}/graphql`,
      webSocketImpl: await this.#options.webSocket(),
      connectionParams: () => {
        this.#token = this.#options.token();
        return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
      },
      retryAttempts: 0,
      keepAlive: silenceMs / 2,
      on: {
        connected: () => {
          this.#open = true;
          this.#connections += 1;
        },
        closed: () => {
          this.#open = false;
          clearTimeout(deadline);
        },
        ping: (received) => {
          if (!received) deadline = setTimeout(() => client.terminate(), silenceMs / 2);
        },
        pong: () => clearTimeout(deadline),
      },
    });
    return client;
  }
}

function isRefusal(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === forbidden;
}
