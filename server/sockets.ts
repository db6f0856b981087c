/**
 * GraphQL over WebSocket at /graphql (protocol graphql-transport-ws), by graphql-ws.
 *
 * Memory stays bounded whatever a client does. An answer is waited for until the operating system has taken it, and
 * only then the next item of the stream is read from the store: of a subscriber whose socket is stuck there is one
 * item per subscription in memory and not more. Operations per socket are bounded, and a socket that makes us owe it
 * answers without reading them is closed. Nothing is lost by that: streams are resumed behind a cursor.
 */
import type { IncomingMessage, Server } from "node:http";
import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLError, GraphQLSchema } from "graphql";
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type Context as SocketContext,
  type SubscribePayload,
} from "graphql-ws";
import type { Logger } from "pino";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { SteplogError } from "../schema/errors.ts";
import { limits } from "../schema/limits.ts";
import type { Access } from "./access.ts";
import type { Services } from "./context.ts";
import { toClientError } from "./errors.ts";
import type { Gateway } from "./gateway.ts";
import { schema } from "./graphql/schema.ts";

/** Operations at a time on one socket. */
const operationsPerSocket = 100;
/** Bytes that may wait for a socket to take them; what is beyond is the fault of a client that does not read. */
const maxBufferedBytes = 16 * 1024 * 1024;
/** A socket that answers no ping for this long is gone. */
const pingMs = 15_000;
/** "Service restart": clients of graphql-ws connect again and subscribe anew. */
const restartCode = 1012;

export interface SocketsOptions {
  readonly http: Server;
  readonly services: Services;
  readonly gateway: Gateway;
  readonly access: Access;
  readonly originOf: (host: string | undefined) => string;
}

interface Extra {
  readonly request: IncomingMessage;
}

export interface Sockets {
  /** Closes every socket so that its client comes back, and takes no new ones. */
  close(): void;
}

export function serveSockets(options: SocketsOptions): Sockets {
  const { http, access, services } = options;
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.requestBytes, handleProtocols });
  const protocol = makeProtocol(options);
  server.on("connection", (socket, request) => attach(socket, request, protocol, services.log));
  http.on("upgrade", (request, socket, head) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname !== "/graphql" || !access.originAllowed(request)) {
      socket.end(
        `HTTP/1.1 ${pathname === "/graphql" ? "403 Forbidden" : "404 Not Found"}\r\nConnection: close\r\n\r\n`,
      );
      return;
    }
    server.handleUpgrade(request, socket, head, (webSocket) => server.emit("connection", webSocket, request));
  });
  return {
    close: () => {
      for (const socket of server.clients) socket.close(restartCode, "The server restarts");
      // A client that does not answer the close is not waited for.
      setTimeout(() => server.clients.forEach((socket) => socket.terminate()), 1_000).unref();
      server.close();
    },
  };
}

type Protocol = ReturnType<typeof makeProtocol>;

function makeProtocol({ gateway, services, access, originOf }: SocketsOptions) {
  const { log } = services;
  return makeServer<Record<string, unknown>, Extra>({
    // Browsers cannot set headers on a WebSocket, so the token comes with the first message.
    onConnect: ({ connectionParams, extra }) =>
      access.allows(extra.request.headers.authorization) ||
      access.allows(connectionParams?.["Authorization"] ?? connectionParams?.["authorization"]),
    // An error thrown here would close the socket under all of its subscriptions; one returned ends this operation.
    onSubscribe: async (context, _id, payload) => {
      try {
        return await prepare(context, payload);
      } catch (error) {
        return [toClientError(error, log)];
      }
    },
    execute: (args) => operationOf(args.contextValue).execute(args),
    subscribe: (args) => operationOf(args.contextValue).subscribe(args),
    onError: (_context, _id, _payload, errors) => errors.map((error) => toClientError(error, log).toJSON()),
  });

  async function prepare(context: SocketContext<Record<string, unknown>, Extra>, payload: SubscribePayload) {
    if (Object.keys(context.subscriptions).length > operationsPerSocket) {
      const message = `A socket carries at most ${operationsPerSocket} operations at a time. Open another.`;
      throw new SteplogError("INVALID_ARGUMENT", message);
    }
    const origin = originOf(context.extra.request.headers.host);
    const enveloped: Enveloped = gateway.getEnveloped({ ...services, origin, params: payload });
    const document = enveloped.parse(payload.query);
    const errors = enveloped.validate(schema, document);
    if (errors.length > 0) return errors.map((error) => toClientError(error, log));
    const contextValue = await enveloped.contextFactory();
    operations.set(contextValue, enveloped);
    return {
      schema,
      document,
      contextValue,
      operationName: payload.operationName,
      variableValues: payload.variables,
    };
  }
}

/** What the gateway offers for one operation; envelop leaves its results untyped. */
interface Enveloped {
  parse(query: string): DocumentNode;
  validate(of: GraphQLSchema, document: DocumentNode): readonly GraphQLError[];
  contextFactory(): Promise<object> | object;
  execute(args: ExecutionArgs): Promise<ExecutionResult>;
  subscribe(args: ExecutionArgs): Promise<ExecutionResult | AsyncGenerator<ExecutionResult>>;
}

/** Which functions run an operation; the plugins of the gateway wrap them for each one. */
const operations = new WeakMap<object, Enveloped>();

function operationOf(contextValue: unknown): Enveloped {
  const enveloped = typeof contextValue === "object" && contextValue !== null && operations.get(contextValue);
  if (!enveloped) throw new Error("an operation runs in the context that it was prepared with");
  return enveloped;
}

function attach(socket: WebSocket, request: IncomingMessage, protocol: Protocol, log: Logger): void {
  const closed = protocol.opened(
    {
      protocol: socket.protocol,
      send: (data) => sendWhole(socket, data),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (receive) => {
        socket.on("message", (data) => {
          if (isOverrun(socket)) return;
          receive(textOf(data)).catch((error: unknown) => {
            log.error({ err: error }, "a WebSocket message failed");
            socket.close(CloseCode.InternalServerError, "Internal server error");
          });
        });
      },
    },
    { request },
  );
  socket.on("ping", () => isOverrun(socket));
  socket.on("error", (error) => log.debug({ err: error }, "a WebSocket broke"));
  const stopPinging = keepAlive(socket);
  socket.once("close", (code, reason) => {
    stopPinging();
    void closed(code, String(reason));
  });
}

/** `ws` hands a message on as one Buffer, unless it is told otherwise. */
function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? data.toString() : "";
}

/** Resolves when the operating system has taken the bytes. A socket that closed meanwhile takes nothing. */
function sendWhole(socket: WebSocket, data: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) resolve();
    else socket.send(data, () => resolve());
  });
}

function isOverrun(socket: WebSocket): boolean {
  if (socket.bufferedAmount > maxBufferedBytes) socket.terminate();
  return socket.readyState !== socket.OPEN;
}

function keepAlive(socket: WebSocket): () => void {
  let alive = true;
  socket.on("pong", () => {
    alive = true;
  });
  const timer = setInterval(() => {
    if (!alive) return socket.terminate();
    alive = false;
    socket.ping();
  }, pingMs).unref();
  return () => clearInterval(timer);
}
