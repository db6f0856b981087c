/** The GraphQL gateway: the schema, served by graphql-yoga. HTTP and WebSocket both use it. */
import { GraphQLError, type DocumentNode } from "graphql";
import { createYoga, type GraphQLParams, type Plugin } from "graphql-yoga";
import type { Logger } from "pino";
import type { Tracing } from "../schema/tracing.ts";
import type { Context } from "./context.ts";
import { requestError, toClientError } from "./errors.ts";
import type { DocumentRequest, PersistedDocuments } from "./graphql/persisted-documents.ts";
import { limitedOperations } from "./graphql/operation-limits.ts";
import type { Metrics } from "./metrics.ts";
import { schema } from "./graphql/schema.ts";
import { eventStreams } from "./event-streams.ts";
import { sharedResults, unwatchedResults } from "./shared-results.ts";
import { tracedOperations } from "./traced-operations.ts";

export type Gateway = ReturnType<typeof createGateway>;

export interface GatewayOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing | null;
  readonly documents: PersistedDocuments;
}

export function createGateway({ log, metrics, tracing, documents }: GatewayOptions) {
  const mask = (error: unknown) => toClientError(error, log);
  return createYoga<Context>({
    schema,
    graphqlEndpoint: "/graphql",
    maskedErrors: { maskError: mask },
    plugins: [
      typedRequests(documents),
      allowedDocuments(documents),
      limitedOperations(),
      sharedResults(mask),
      eventStreams(),
      ...(tracing ? [tracedOperations(tracing)] : []),
      requestErrors(log, metrics),
      unwatchedResults(),
    ],
    parserAndValidationCache: { documentCache: new DocumentCache(), errorCache: noCache },
    // routes.ts does these for all routes.
    maxRequestBodySize: false,
    cors: false,
    graphiql: false,
    landingPage: false,
    logging: false,
    // Another site's page could send a form post without a preflight, so none is accepted; datasets are uploaded otherwise.
    multipart: false,
    batching: false,
  });
}

/** Every request that cannot be read gets an error that says why, with the status that HTTP has for it. */
function typedRequests(documents: PersistedDocuments): Plugin {
  return {
    onRequestParse: ({ request, requestParser, setRequestParser }) => {
      if (request.method === "POST" && !isAccepted(request.headers.get("content-type"))) {
        setRequestParser(refuseType);
      } else if (requestParser) {
        const named = request.method === "GET" ? new URL(request.url).searchParams.get("documentId") : null;
        setRequestParser(async (given) => readParams(await parsed(() => requestParser(given)), named, documents));
      }
    },
  };
}

function isAccepted(contentType: string | null): boolean {
  const [type = ""] = (contentType ?? "").split(/[;,]/u);
  return ["application/json", "application/graphql+json", "application/graphql"].includes(type.trim().toLowerCase());
}

function refuseType(): never {
  throw requestError(
    'Send JSON such as {"query": "..."} with the header "Content-Type: application/json". Forms are not accepted; files ' +
      "are uploaded to /datasets or /uploads.",
    { status: 415 },
  );
}

/** In a URL, variables are JSON of their own. */
async function parsed<T>(parse: () => T): Promise<Awaited<T>> {
  try {
    return await parse();
  } catch (error) {
    // 400 for every client: nothing was executed that a partial answer could tell of.
    if (error instanceof GraphQLError) throw requestError(error.message, { status: 400 });
    if (error instanceof SyntaxError)
      throw requestError("The variables or extensions are not valid JSON.", { status: 400 });
    throw error;
  }
}

/** Tools send an empty operation name for none. Others try a hash first, and then send the query. */
function readParams<T extends GraphQLParams | GraphQLParams[] | Response>(
  params: T,
  inUrl: string | null,
  documents: PersistedDocuments,
): T {
  if (typeof params !== "object" || params === null || Array.isArray(params) || params instanceof Response)
    return params;
  const { documentId = inUrl, ...rest }: GraphQLParams & DocumentRequest = params;
  const query = documents.named({ ...rest, documentId });
  return Object.assign(params, {
    ...(query !== undefined && { query }),
    ...("documentId" in params && { documentId: undefined }),
    ...(params.operationName === "" && { operationName: undefined }),
  });
}

/** Where only listed documents run. */
function allowedDocuments(documents: PersistedDocuments): Plugin<object, Context> {
  return {
    onParams: ({ params: { query }, context, setResult }) => {
      const refused = typeof query === "string" ? documents.refused(query, context.store.viewer) : null;
      if (refused) setResult({ errors: [refused] });
    },
  };
}

/** `maskError` only sees what execution throws; this covers errors of syntax and validation. */
function requestErrors(log: Logger, metrics: Metrics): Plugin {
  return {
    onExecutionResult: (payload) => {
      const { result } = payload;
      if (!result || !("errors" in result) || !result.errors) return;
      const errors = result.errors.map((error) => toClientError(error, log));
      for (const { extensions } of errors) metrics.failed(String(extensions["code"]));
      payload.setResult({ ...result, errors });
    },
  };
}

/** Parsed queries by their text. A parsed query takes a few hundred times the memory of its text. */
class DocumentCache {
  /** UTF-16 units of all texts together. */
  static readonly capacity = 100_000;
  readonly #documents = new Map<string, DocumentNode>();
  #size = 0;

  get(text: string): DocumentNode | undefined {
    const document = this.#documents.get(text);
    if (!document) return undefined;
    // A map keeps the order of insertion, so the first is the one used longest ago.
    this.#documents.delete(text);
    this.#documents.set(text, document);
    return document;
  }

  set(text: string, document: DocumentNode): void {
    if (text.length > DocumentCache.capacity / 10 || this.#documents.has(text)) return;
    this.#documents.set(text, document);
    this.#size += text.length;
    for (const oldest of this.#documents.keys()) {
      if (this.#size <= DocumentCache.capacity) return;
      this.#documents.delete(oldest);
      this.#size -= oldest.length;
    }
  }
}

/** Errors hold the text that they are about. */
const noCache = { get: () => undefined, set: () => {} };
