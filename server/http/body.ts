/** The body of a GraphQL request, whole and in memory. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { isTooDeep } from "../graphql/query-limits.ts";
import { refuseSlow } from "./stalled.ts";
import { atMost } from "./uploads.ts";

/** Uploads may take longer, since they go to disk; this one waits in memory. */
const bodyMs = 300_000;

/**
 * Reads the body as body-parsing middleware would. The gateway's own size limit stops reading in the middle of the body,
 * which leaves the connection unusable for the next request.
 * @throws PAYLOAD_TOO_LARGE, INVALID_ARGUMENT
 */
export async function readBody(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
  const timer = setTimeout(() => refuseSlow(response), bodyMs);
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of atMost(limits.requestBytes)(request.iterator({ destroyOnReturn: false })))
      chunks.push(chunk);
    if (chunks.length > 0) return checked(Buffer.concat(chunks));
  } finally {
    clearTimeout(timer);
  }
  throw new SteplogError("INVALID_ARGUMENT", 'The body is empty. Send JSON such as {"query": "..."}.');
}

function checked(body: Buffer): Buffer {
  if (!isTooDeep(body)) return body;
  throw new SteplogError("INVALID_ARGUMENT", "The body is nested too deeply.");
}
