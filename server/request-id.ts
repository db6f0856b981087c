/**
 * The id of the request that is being answered: the client's own (X-Request-Id), or one that is made here. It is in the answer's
 * header, in every line of the log that is about the request, and in the message of an error that is our fault.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Origin } from "../store/store.ts";

const current = new AsyncLocalStorage<string>();

/** A header may hold anything, and a log must not. */
export function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && /^[\w.:-]{1,100}$/u.test(given) ? given : randomUUID();
}

/** By which the request goes on with the client's trace; null for none. What is no traceparent counts as none later. */
export function traceparentOf({ headers: { traceparent } }: IncomingMessage): string | null {
  return typeof traceparent === "string" ? traceparent : null;
}

export function withRequestId<Result>(id: string, work: () => Result): Result {
  return current.run(id, work);
}

/** Undefined outside of a request. */
export function currentRequestId(): string | undefined {
  return current.getStore();
}

/** What the audit log keeps of a request. Behind a proxy, the address is the proxy's. */
export function originOfRequest(request: IncomingMessage): Origin {
  return { requestId: currentRequestId() ?? null, address: request.socket.remoteAddress ?? null };
}
