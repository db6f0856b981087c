/** Plain requests to the service: HTTP with the token, answered in JSON or by the bytes of a file, or with a SteplogError. */
import { SteplogError } from "../schema/errors.ts";
import { errorIn, failureOf } from "./errors.ts";
import { fetchWithToken } from "./fetch-with-token.ts";
import type { Operation } from "./operation.ts";
import { type WaitOptions, pause } from "./pause.ts";
import type { RateLimitWaits } from "./rate-limits.ts";

export interface RequestsOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: () => string | undefined;
  readonly rateLimits: RateLimitWaits;
}

/** What is sent: with a function, it can be made anew for a request that has to be repeated. */
export type Sendable = RequestInit | (() => Promise<RequestInit>);

export const defaultPatienceMs = 60_000;
/** During an outage. */
export const outageRetryMs = 500;

export class Requests {
  readonly #url: string;
  readonly #token: () => string | undefined;
  readonly #rateLimits: RateLimitWaits;

  constructor({ url, token, rateLimits }: RequestsOptions) {
    this.#url = url;
    this.#token = token;
    this.#rateLimits = rateLimits;
  }

  /** The data of a GraphQL operation. @throws SteplogError the first error of the response; UNAVAILABLE without a response */
  async query<Result, Variables extends object>(
    { text, name }: Operation<Result, Variables> | { readonly text: string; readonly name?: undefined },
    variables: Variables,
    signal?: AbortSignal,
  ): Promise<Result> {
    const init = {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ query: text, operationName: name, variables }),
    };
    return ((await this.ask("/graphql", init, signal)) as { data: Result }).data;
  }

  /** The JSON that the service answers with. @throws SteplogError the one that it answers with, or UNAVAILABLE */
  async ask(path: string, sent: Sendable, signal?: AbortSignal): Promise<unknown> {
    const response = await this.#fetch(this.#url + path, sent, signal);
    const answer: unknown = await response
      .clone()
      .json()
      .catch(() => null);
    const error = errorIn(answer);
    if (error) throw error;
    if (answer === null || !response.ok) throw await failureIn(response);
    return answer;
  }

  /** The bytes that are at an address of the service. @throws SteplogError as `ask` */
  async open(url: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch(url, {});
    if (!response.ok) throw await failureIn(response);
    return response.body ?? new Blob().stream();
  }

  /** Repeats a read while the service is unavailable. */
  async patiently<T>(read: () => Promise<T>, { patienceMs = defaultPatienceMs, signal }: WaitOptions): Promise<T> {
    const start = performance.now();
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await read();
      } catch (error) {
        const outage = error instanceof SteplogError && error.code === "UNAVAILABLE";
        if (!outage || performance.now() - start >= patienceMs) throw error;
        await pause(outageRetryMs, signal);
      }
    }
  }

  /** Any answer but that a rate limit is used up. */
  #fetch(url: string, sent: Sendable, signal?: AbortSignal): Promise<Response> {
    const canRepeat = typeof sent === "function" || !(sent.body instanceof ReadableStream);
    const send = async () => {
      signal?.throwIfAborted();
      const response = await this.#send(url, typeof sent === "function" ? await sent() : sent);
      if (response.status !== 429) return response;
      const error = await failureIn(response.clone());
      if (error.code === "RATE_LIMITED") throw error;
      return response;
    };
    return this.#rateLimits.outlast(send, canRepeat, signal);
  }

  async #send(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetchWithToken(url, init, this.#token);
    } catch (error) {
      throw failureOf(this.#url, error);
    }
  }
}

async function failureIn(response: Response): Promise<SteplogError> {
  const answer: unknown = await response.json().catch(() => null);
  return errorIn(answer) ?? failureOfStranger(response);
}

/** An answer that Steplog does not give: of a proxy before it, or of something else. */
function failureOfStranger({ url, status, headers }: Response): SteplogError {
  if (status !== 429) {
    const message = `${url} answered with HTTP status ${status}, and not as Steplog does. Check the URL.`;
    return new SteplogError("UNAVAILABLE", message);
  }
  const told = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterS = Number.isFinite(told) && told > 0 ? told : undefined;
  const when = retryAfterS === undefined ? "later" : `in ${retryAfterS} s`;
  const message = `${url} has had too many requests (HTTP status 429 of a proxy before the service). Try again ${when}.`;
  return new SteplogError("RATE_LIMITED", message, [], { retryAfterS });
}
