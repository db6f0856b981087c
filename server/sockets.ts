/**
 * GraphQL over WebSocket at /graphql (protocol graphql-transport-ws), by graphql-ws.
 *
 * Memory stays bounded whatever a client does. A stream takes its next item only while few bytes wait for the operating system,
 * so a stuck subscriber holds those, and of a fast run several items go in one write. The number of operations per socket is
 * limited. A socket that requests answers without reading them is closed, and so is one whose client does not answer pings.
 * Nothing is lost: the client resumes its streams from a cursor.
 */
import { STATUS_CODES, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import {
  getOperationAST,
  OperationTypeNode,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
  type GraphQLSchema,
} from "graphql";
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type Context as SocketContext,
  type SubscribePayload,
} from "graphql-ws";
import type { Logger } from "pino";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { invariant, SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import type { Viewer } from "../schema/projects.ts";
import type { Store } from "../store/store.ts";
import type { Access } from "./access.ts";
import type { Charge, Services } from "./context.ts";
import { toClientError, toHttpError, withoutStatus } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { LastAnswers } from "./last-answers.ts";
import { originOfRequest, requestIdOf, traceparentOf, withRequestId } from "./request-id.ts";
import type { RateLimits } from "./rate-limits.ts";
import { isTooDeep } from "./graphql/query-limits.ts";
import type { PersistedDocuments } from "./graphql/persisted-documents.ts";
import { schema } from "./graphql/schema.ts";
import { readTarget } from "./http/target.ts";
import { traceFrom } from "./traced-operations.ts";

/** Concurrent operations on one socket. */
const operationsPerSocket = 100;
/** Bytes that may be buffered for one socket. A client that exceeds this is not reading. */
const maxBufferedBytes = 16 * 1024 * 1024;
/** Bytes that wait for the operating system before streams wait too. */
const mostWaiting = 16_384;
/** How long a client has to take the close before its connection is cut. */
const closeMs = 1_000;
/** "Try again later", for a client that does not read: graphql-ws clients reconnect and subscribe again. */
const stalledCode = 1013;
/** "Service restart": graphql-ws clients reconnect and subscribe again. */
const restartCode = 1012;

export interface SocketsOptions {
  readonly http: Server;
  readonly store: Store;
  readonly services: Services;
  readonly gateway: Gateway;
  readonly documents: PersistedDocuments;
  readonly access: Access;
  readonly rateLimits: RateLimits;
  readonly originOf: (host: string | undefined) => string;
  /** Path under which clients reach this gateway, if it is not the root of its host. */
  readonly prefix: string;
  /** How long a client may read nothing: it gets a ping after half of that, and has the other half to answer. */
  readonly stallMs: number;
}

interface Extra {
  readonly request: IncomingMessage;
  /** Who opened it; null until the first message has said so. */
  viewer: Viewer | null;
  /** What said so. */
  authorization: unknown;
  /** Aborted when the socket closes. */
  readonly signal: AbortSignal;
  /** What is being answered. */
  readonly answers: LastAnswers;
  /** Closes the socket. */
  close(code: number, reason: string): void;
}

export interface Sockets {
  /** Closes every socket with a code that makes clients reconnect, and accepts no new ones. */
  close(): void;
}

export function serveSockets(options: SocketsOptions): Sockets {
  const { http, access, services, prefix } = options;
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.requestBytes, handleProtocols });
  const protocol = makeProtocol(options);
  server.on("connection", (socket, request) => {
    services.metrics.socket(1);
    socket.once("close", () => services.metrics.socket(-1));
    attach(socket, request, { protocol, log: services.log, stallMs: options.stallMs });
  });
  http.on("upgrade", (request, socket, head) => {
    checkUpgrade(request, access, prefix).then(
      () => server.handleUpgrade(request, socket, head, (webSocket) => server.emit("connection", webSocket, request)),
      (error: unknown) => refuseUpgrade(socket, toHttpError(error, services.log)),
    );
  });
  return {
    close: () => {
      for (const socket of server.clients) socket.close(restartCode, "The server is restarting");
      // Do not wait for clients that never answer the close.
      setTimeout(() => server.clients.forEach((socket) => socket.terminate()), closeMs).unref();
      server.close();
    },
  };
}

/** @throws SteplogError */
async function checkUpgrade(request: IncomingMessage, access: Access, prefix: string): Promise<void> {
  const { pathname } = readTarget(request, prefix);
  if (pathname !== "/graphql") throw new SteplogError("NOT_FOUND", "WebSockets are at /graphql.");
  await access.checkHost(request);
  access.checkOrigin(request);
}

function refuseUpgrade(socket: Duplex, { status, body }: { status: number; body: string }): void {
  // 401 would ask for a token, which does not help a page of another site.
  const code = status === 401 ? 403 : status;
  const lines = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ""}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  // The client may keep its half of the connection open for ever.
  socket.once("finish", () => socket.destroy());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

type Protocol = ReturnType<typeof makeProtocol>;

function makeProtocol({ gateway, documents, store, services, access, rateLimits, originOf }: SocketsOptions) {
  const { log } = services;
  return makeServer<Record<string, unknown>, Extra>({
    // Browsers cannot set headers on a WebSocket, so the token comes with the first message.
    onConnect: async ({ connectionParams, extra }) => {
      const parameter = connectionParams?.["Authorization"] ?? connectionParams?.["authorization"];
      for (const given of [extra.request.headers.authorization, parameter]) {
        const viewer = await access.viewerOf(given);
        if (!viewer) continue;
        Object.assign(extra, { viewer, authorization: given });
        const end = () => extra.answers.end(() => extra.close(CloseCode.Forbidden, "The API key has ended"));
        extra.signal.addEventListener("abort", access.onEnd(given, viewer, end));
        return true;
      }
      return false;
    },
    // A thrown error would close the socket with all of its subscriptions; a returned one ends this operation only.
    onSubscribe: async (context, id, payload) => {
      try {
        const prepared = await prepare(context, payload);
        if (!Array.isArray(prepared) && hasOneAnswer(prepared)) context.extra.answers.begin(id);
        return prepared;
      } catch (error) {
        return [toClientError(error, log)];
      }
    },
    execute: (args) => operationOf(args.contextValue).execute(args),
    subscribe: (args) => operationOf(args.contextValue).subscribe(args),
    onNext: (_context, _id, _payload, _args, { data, errors, extensions }) =>
      errors && {
        ...(data !== undefined && { data }),
        errors: errors.map(withoutStatus),
        ...(extensions && { extensions }),
      },
    onComplete: ({ extra }, id) => extra.answers.done(id),
    onError: (_context, _id, _payload, errors) => errors.map((error) => withoutStatus(toClientError(error, log))),
  });

  async function prepare(context: SocketContext<Record<string, unknown>, Extra>, payload: SubscribePayload) {
    if (Object.keys(context.subscriptions).length > operationsPerSocket) {
      const message = `One socket carries at most ${operationsPerSocket} operations at a time. Open another socket.`;
      throw new SteplogError("INVALID_ARGUMENT", message);
    }
    const { request, signal, viewer, authorization } = context.extra;
    invariant(viewer, "an operation comes after the first message");
    // Since it was opened, an operator may have changed its limits, and the key may have ended.
    const { rates } = await access.viewerBy(authorization);
    const meter = rateLimits.meterOf({ ...viewer, rates }, request, await access.asks());
    const charge: Charge = async (points) => meter?.charge("graphql", points);
    await charge(1);
    const enveloped: Enveloped = gateway.getEnveloped({
      ...services,
      store: store.of(viewer, originOfRequest(request)),
      origin: originOf(request.headers.host),
      signal,
      meter,
      charge,
      params: payload,
    });
    const query = documents.named(payload) ?? payload.query;
    const refused = documents.refused(query, viewer);
    if (refused) return [refused];
    const document = enveloped.parse(query);
    const errors = enveloped.validate(schema, document);
    if (errors.length > 0) return errors.map((error) => toClientError(error, log));
    const contextValue = await enveloped.contextFactory();
    operations.set(contextValue, enveloped);
    if (services.tracing) traceFrom(contextValue, payload.extensions, traceparentOf(request));
    return {
      schema,
      document,
      contextValue,
      // Tools send an empty name for none.
      operationName: payload.operationName === "" ? undefined : payload.operationName,
      variableValues: payload.variables,
    };
  }
}

/** Unlike a subscription. */
function hasOneAnswer({ document, operationName }: Pick<ExecutionArgs, "document" | "operationName">): boolean {
  const operation = getOperationAST(document, operationName)?.operation;
  return operation !== undefined && operation !== OperationTypeNode.SUBSCRIPTION;
}

/** What the gateway offers for one operation. Envelop leaves the results untyped. */
interface Enveloped {
  parse(query: string): DocumentNode;
  validate(of: GraphQLSchema, document: DocumentNode): readonly GraphQLError[];
  contextFactory(): Promise<object> | object;
  execute(args: ExecutionArgs): Promise<ExecutionResult>;
  subscribe(args: ExecutionArgs): Promise<ExecutionResult | AsyncGenerator<ExecutionResult>>;
}

/** The functions that run each operation, wrapped by the plugins of the gateway. */
const operations = new WeakMap<object, Enveloped>();

function operationOf(contextValue: unknown): Enveloped {
  const enveloped = typeof contextValue === "object" && contextValue !== null && operations.get(contextValue);
  if (!enveloped) throw new Error("an operation runs in the context that it was prepared with");
  return enveloped;
}

interface Attached {
  readonly protocol: Protocol;
  readonly log: Logger;
  readonly stallMs: number;
}

function attach(socket: WebSocket, request: IncomingMessage, { protocol, log, stallMs }: Attached): void {
  const gone = new AbortController();
  const answers = new LastAnswers();
  const requestId = requestIdOf(request);
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (data) => {
        if (!answers.maySend(data)) return ended(gone.signal);
        writeTogether(request.socket);
        return sendBounded(socket, data);
      },
      close: (code, reason) => socket.close(code, shortened(reason)),
      onMessage: (receive) => {
        socket.on("message", (data) => {
          if (isOverrun(socket)) return;
          if (Buffer.isBuffer(data) && isTooDeep(data)) return socket.close(CloseCode.BadRequest, "Nested too deeply");
          withRequestId(requestId, () => receive(textOf(data))).catch((error: unknown) => {
            log.error({ err: error }, "a WebSocket message failed");
            socket.close(CloseCode.InternalServerError, "Internal server error");
          });
        });
      },
    },
    {
      request,
      viewer: null,
      authorization: null,
      signal: gone.signal,
      answers,
      close: (code, reason) => socket.close(code, reason),
    },
  );
  socket.on("ping", () => isOverrun(socket));
  socket.on("error", (error) => log.debug({ err: error }, "a WebSocket broke"));
  const stopPinging = keepAlive(socket, stallMs / 2);
  socket.once("close", (code, reason) => {
    stopPinging();
    gone.abort();
    closed(code, String(reason)).catch((error: unknown) => log.error({ err: error }, "a stream did not close"));
  });
}

/** A close frame has room for 123 bytes, and some reasons quote an id that the client chose. */
function shortened(reason = ""): string {
  return Buffer.byteLength(reason) <= 123 ? reason : reason.slice(0, 40);
}

/** `ws` delivers a message as one Buffer by default. */
function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : "";
}

/** Connections whose writes of this turn of the event loop are held back. */
const corked = new Set<Duplex>();

/** What is sent in one turn of the event loop goes to the operating system in one piece. */
function writeTogether(connection: Duplex): void {
  if (corked.has(connection)) return;
  if (corked.size === 0) setImmediate(uncork);
  corked.add(connection);
  connection.cork();
}

function uncork(): void {
  const all = [...corked];
  corked.clear();
  for (const connection of all) connection.uncork();
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Nothing to wait for while few bytes wait for the operating system, or when the socket has closed. */
function sendBounded(socket: WebSocket, data: string): Promise<void> | undefined {
  if (socket.readyState !== socket.OPEN) return undefined;
  if (socket.bufferedAmount + data.length > mostWaiting)
    return new Promise((resolve) => socket.send(data, () => resolve()));
  socket.send(data);
  return undefined;
}

function isOverrun(socket: WebSocket): boolean {
  if (socket.bufferedAmount > maxBufferedBytes) socket.terminate();
  return socket.readyState !== socket.OPEN;
}

function keepAlive(socket: WebSocket, pingMs: number): () => void {
  let alive = true;
  socket.on("pong", () => {
    alive = true;
  });
  const timer = setInterval(() => {
    if (!alive) return hangUp(socket);
    alive = false;
    socket.ping();
  }, pingMs).unref();
  return () => clearInterval(timer);
}

/** The close comes after what the client has not read, so a client that reads again in time learns why. */
function hangUp(socket: WebSocket): void {
  socket.close(stalledCode, "The client does not read");
  setTimeout(() => socket.terminate(), closeMs).unref();
}
