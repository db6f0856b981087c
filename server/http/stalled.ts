/**
 * Connections whose client has stopped: it sends nothing of a request that it began, or takes nothing of its answer. Node
 * calls a connection quiet when no byte has moved for a while; whose turn it was decides. A client that sends less than any
 * line does, a byte now and then, counts as stopped too. A slow one that goes on is never cut off, and neither is one that
 * waits for us.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** How long a client may do nothing when it is its turn. */
export const stallMs = 30_000;
/** What a client must send of a body, in bytes per second: a tenth of what a modem does. */
const leastRate = 100;
/** Over how many times `stallMs` that is measured: a pause shorter than `stallMs` makes nobody slow. */
const rateWindow = 4;

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
  // Node counts from the first byte of the headers to their last.
  http.headersTimeout = 2 * patienceMs;
  http.keepAliveTimeout = Math.min(http.keepAliveTimeout, patienceMs);
  const sockets = openSockets(http);
  keepTimeouts(http, sockets, patienceMs);
  endSlow(http, sockets, exchanges, patienceMs * rateWindow);
}

/** WebSockets have pings (sockets.ts). */
function openSockets(http: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  http.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  http.on("upgrade", (request) => sockets.delete(request.socket));
  return sockets;
}

/** graphql-yoga takes the timeout off a connection when it begins a stream; this puts it on again. */
function keepTimeouts(http: Server, sockets: ReadonlySet<Socket>, patienceMs: number): void {
  const timer = setInterval(() => {
    for (const socket of sockets) if (!socket.timeout) socket.setTimeout(patienceMs);
  }, patienceMs).unref();
  http.once("close", () => clearInterval(timer));
}

/** Ends connections that, for a whole window, have been sending one body and sent too little of it. */
function endSlow(
  http: Server,
  sockets: ReadonlySet<Socket>,
  exchanges: WeakMap<Socket, Exchange>,
  windowMs: number,
): void {
  const least = (leastRate * windowMs) / 1_000;
  const before = new WeakMap<IncomingMessage, number>();
  const timer = setInterval(() => {
    for (const socket of sockets) {
      const exchange = exchanges.get(socket);
      if (!exchange || exchange.request.complete) continue;
      const { request } = exchange;
      const start = before.get(request);
      if (start !== undefined && socket.bytesRead - start < least && !waitsForUs(socket, exchange))
        hangUp(socket, exchange);
      before.set(request, socket.bytesRead);
    }
  }, windowMs).unref();
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
