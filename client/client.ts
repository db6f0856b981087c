/** A client of a running service: GraphQL over HTTP, streams over WebSocket, files over HTTP. */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import type { ErrorCode, InputIssue } from "../schema/errors.ts";
import { SteplogError, errorCodes } from "../schema/errors.ts";

const reconnectMs = 500;
/** How long a service may be away before a client gives up. */
const patienceMs = 60_000;

export interface StepPayload {
  readonly cursor: number;
  readonly step: { readonly step: number; readonly loss: number | null; readonly skipped: string | null };
}

export class Client {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.#url = url.replace(/\/+$/u, "");
    this.#token = token;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** The data of one operation. @throws the error that the service answered with, by its code */
  async query<T>(query: string, variables: object = {}): Promise<T> {
    const response = await this.#fetch("/graphql", {
      method: "POST",
      headers: { ...this.#headers, "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    const answer = (await response.json()) as { data?: T | null; errors?: readonly GraphQLFailure[] };
    const [first] = answer.errors ?? [];
    if (first) throw failure(first);
    if (!answer.data) throw new SteplogError("UNAVAILABLE", `${this.#url} answered without data (${response.status}).`);
    return answer.data;
  }

  /** Uploads a JSONL file as a dataset; its global id. */
  async uploadDataset(name: string, path: string): Promise<{ id: string; rows: number }> {
    const response = await this.#fetch(`/datasets?name=${encodeURIComponent(name)}`, {
      method: "POST",
      headers: { ...this.#headers, "content-type": "application/x-ndjson" },
      body: Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>,
      duplex: "half",
    });
    const answer = (await response.json()) as { id: string; rows: number; errors?: readonly GraphQLFailure[] };
    const [first] = answer.errors ?? [];
    if (first) throw failure(first);
    return answer;
  }

  /** The bytes at a URL that the service gave. */
  async download(url: string): Promise<Response> {
    const response = await fetch(url, { headers: this.#headers });
    if (!response.ok) throw new SteplogError("UNAVAILABLE", `${url} answered ${response.status}.`);
    return response;
  }

  /** Every step of a run once, from the first: goes on behind the last one it saw when the connection breaks. */
  async *steps(fineTuneId: string): AsyncGenerator<StepPayload> {
    let after = 0;
    let lastSeen = performance.now();
    for (;;) {
      const socket = createClient({
        url: `${this.#url.replace(/^http/u, "ws")}/graphql`,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams: this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` },
      });
      try {
        const query = `subscription ($id: ID!, $after: Int) {
          steps(fineTuneId: $id, after: $after) { cursor step { step loss skipped } }
        }`;
        const stream = socket.iterate<{ steps: StepPayload }>({ query, variables: { id: fineTuneId, after } });
        for await (const { data, errors } of stream) {
          if (errors?.[0]) throw failure(errors[0]);
          if (!data) continue;
          after = data.steps.cursor;
          lastSeen = performance.now();
          yield data.steps;
        }
        return;
      } catch (error) {
        if (error instanceof SteplogError) throw error;
        if (isGraphQLFailures(error)) throw failure(error[0]);
        if (performance.now() - lastSeen > patienceMs) throw unreachable(this.#url, error);
        await delay(reconnectMs);
      } finally {
        await socket.dispose();
      }
    }
  }

  async #fetch(path: string, init: RequestInit & { duplex?: "half" }): Promise<Response> {
    try {
      return await fetch(this.#url + path, init);
    } catch (error) {
      throw unreachable(this.#url, error);
    }
  }
}

interface GraphQLFailure {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

function isGraphQLFailures(error: unknown): error is readonly [GraphQLFailure] {
  return Array.isArray(error) && error.length > 0;
}

/** The service's error as it was there; a code this client does not know counts as a fault. */
function failure({ message, extensions }: GraphQLFailure): SteplogError {
  const code = stringOf(extensions?.["code"]);
  const issues = (extensions?.["issues"] ?? []) as readonly InputIssue[];
  return new SteplogError(code in errorCodes ? (code as ErrorCode) : "INTERNAL", message, issues);
}

function stringOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function unreachable(url: string, cause: unknown): SteplogError {
  const advice = "Is it running (steplog start), and is --url right?";
  return new SteplogError("UNAVAILABLE", `The service at ${url} does not answer. ${advice}`, [], { cause });
}
