/**
 * Connections whose client has stopped: it sends nothing of a request that it began, or takes nothing of its answer. Node
 * calls a connection quiet when no byte has moved for a while; whose turn it was decides. A slow client that goes on is
 * never cut off, and neither is one that waits for us.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** How long a client may do nothing when it is its turn. */
export const stallMs = 30_000;

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export function hangUpOnStalled(http: Server, patienceMs = stallMs): void {
  /** The newest request of each connection. */
  const exchanges = new WeakMap<Socket, Exchange>();
  http.on("request", (request, response) => exchanges.set(request.socket, { request, response }));
  http.setTimeout(patienceMs, (socket) => {
    if (waitsForUs(socket, exchanges.get(socket))) socket.setTimeout(patienceMs);
    else hangUp(socket, exchanges.get(socket));
  });
  http.keepAliveTimeout = Math.min(http.keepAliveTimeout, patienceMs);
  keepTimeouts(http, patienceMs);
}

/** graphql-yoga takes the timeout off a connection when it begins a stream; this puts it on again. */
function keepTimeouts(http: Server, patienceMs: number): void {
  const sockets = new Set<Socket>();
  http.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // WebSockets have pings (sockets.ts).
  http.on("upgrade", (request) => sockets.delete(request.socket));
  const timer = setInterval(() => {
    for (const socket of sockets) if (!socket.timeout) socket.setTimeout(patienceMs);
  }, patienceMs).unref();
  http.once("close", () => clearInterval(timer));
}

function waitsForUs(socket: Socket, exchange: Exchange | undefined): boolean {
  if (!exchange || exchange.response.writableFinished) return false;
  const { request, response } = exchange;
  return request.complete ? socket.writableLength + response.writableLength === 0 : request.readableLength > 0;
}

function hangUp(socket: Socket, exchange: Exchange | undefined): void {
  if (exchange && !exchange.request.complete && !exchange.response.headersSent) refuseSlow(exchange.response);
  else socket.destroy();
}

/** 408, the status of a request that did not arrive in time. */
export function refuseSlow(response: ServerResponse): void {
  const message = "The body of the request stopped arriving, or took too long. Send it again.";
  const body = JSON.stringify({ errors: [{ message, extensions: { code: "INVALID_ARGUMENT", issues: [] } }] });
  response.writeHead(408, { "content-type": "application/json", connection: "close" });
  response.end(`${body}\n`, () => response.socket?.destroySoon());
}
