/** Plain requests to the service: HTTP with the token, answered in JSON or by the bytes of a file, or with a SteplogError. */
import { SteplogError } from "../schema/errors.ts";
import { errorIn, failureOf } from "./errors.ts";
import { fetchWithToken } from "./fetch-with-token.ts";
import type { Operation } from "./operation.ts";
import { type WaitOptions, pause } from "./pause.ts";

export interface RequestsOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: () => string | undefined;
}

export const defaultPatienceMs = 60_000;
/** During an outage. */
export const outageRetryMs = 500;

export class Requests {
  readonly #url: string;
  readonly #token: () => string | undefined;

  constructor({ url, token }: RequestsOptions) {
    this.#url = url;
    this.#token = token;
  }

  /** The data of a GraphQL operation. @throws SteplogError the first error of the response; UNAVAILABLE without a response */
  async query<Result, Variables extends object>(
    { text, name }: Operation<Result, Variables> | { readonly text: string; readonly name?: undefined },
    variables: Variables,
  ): Promise<Result> {
    const answer = await this.ask("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ query: text, operationName: name, variables }),
    });
    return (answer as { data: Result }).data;
  }

  /** The JSON that the service answers with. @throws SteplogError the one that it answers with, or UNAVAILABLE */
  async ask(path: string, init: RequestInit): Promise<unknown> {
    const response = await this.#fetch(this.#url + path, init);
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

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetchWithToken(url, init, this.#token);
    } catch (error) {
      throw failureOf(this.#url, error);
    }
  }
}

async function failureIn(response: Response): Promise<SteplogError> {
  const answer: unknown = await response.json().catch(() => null);
  const unknown = new SteplogError(
    "UNAVAILABLE",
    `${response.url} answered with HTTP status ${response.status}, and not as Steplog does. Check the URL.`,
  );
  return errorIn(answer) ?? unknown;
}
