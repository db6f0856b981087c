/**
 * Subscriptions that survive the server. graphql-ws can connect again by itself, but would subscribe with the
 * variables of the first time; a stream of ours goes on behind the last item that it saw, so `follow` subscribes anew
 * with fresh variables after every break.
 */
import { createClient, type Client } from "graphql-ws/client";
import { ApiError, asApiError, authorization } from "./client.ts";
import type { Operation } from "./operation.ts";

/** A socket that is silent for this long, pings included, is dead even if the network did not say so. */
const silenceMs = 20_000;
const firstPauseMs = 250;
const longestPauseMs = 5_000;

let client: Client | null = null;

function sharedClient(): Client {
  client ??= createClient({
    url: new URL("/graphql", location.href).href.replace(/^http/u, "ws"),
    connectionParams: authorization,
    retryAttempts: 0,
    keepAlive: silenceMs / 2,
    lazyCloseTimeout: 1_000,
    on: { ping: watchPongs(), pong: () => clearTimeout(deadline) },
  });
  return client;
}

let deadline: ReturnType<typeof setTimeout> | undefined;

/** Our ping must be answered; a server that vanished without a word leaves a socket that only looks open. */
function watchPongs() {
  return (received: boolean) => {
    if (received) return;
    clearTimeout(deadline);
    deadline = setTimeout(() => client?.terminate(), silenceMs / 2);
  };
}

export interface Follow<Result, Variables> {
  readonly operation: Operation<Result, Variables>;
  /** Asked before each try, so that it can name the last item seen. */
  readonly variables: () => Variables;
  readonly onItem: (item: Result) => void;
  /** Whether items come as they happen; false from a break until the stream is back. */
  readonly onLive?: (live: boolean) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the stream is complete, or aborted. @throws ApiError for what another try cannot mend. */
export async function follow<Result, Variables>(options: Follow<Result, Variables>): Promise<void> {
  let pauseMs = firstPauseMs;
  while (!options.signal.aborted) {
    const outcome = await subscribeOnce(options, () => (pauseMs = firstPauseMs));
    if (outcome === "complete" || options.signal.aborted) return;
    options.onLive?.(false);
    await pause(pauseMs, options.signal);
    pauseMs = Math.min(longestPauseMs, pauseMs * 2);
  }
}

async function subscribeOnce<Result, Variables>(
  { operation, variables, onItem, onLive, signal }: Follow<Result, Variables>,
  onProgress: () => void,
): Promise<"complete" | "broken"> {
  return new Promise((resolve, reject) => {
    const payload = {
      query: operation.text,
      operationName: operation.name,
      variables: variables() as Record<string, unknown>,
    };
    const stop = sharedClient().subscribe<Result>(payload, {
      next: ({ data, errors }) => {
        if (errors) reject(asApiError(errors));
        if (!data) return;
        onProgress();
        onLive?.(true);
        onItem(data);
      },
      error: (cause) => {
        if (Array.isArray(cause)) reject(asApiError(cause));
        else if (isRefusal(cause)) reject(new ApiError("UNAUTHENTICATED", "The server wants an API token."));
        else resolve("broken");
      },
      complete: () => resolve("complete"),
    });
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** 4403 is graphql-ws's close code for a connection that the server does not allow. */
const isRefusal = (cause: unknown) => cause instanceof CloseEvent && cause.code === 4403;

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
