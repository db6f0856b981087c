/** Bodies of requests: unpacked, and for GraphQL whole and in memory. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
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
    for await (const chunk of atMost(limits.requestBytes)(unpacked(request, response))) chunks.push(chunk);
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

const unpackers = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const;

/**
 * The bytes that the client meant, for a reader that limits them. Refusing a body half-way does not close the connection:
 * the answer is still to be sent on it.
 * @throws INVALID_ARGUMENT
 */
export function unpacked(request: IncomingMessage, response: ServerResponse): AsyncIterable<Uint8Array> {
  const source = request.iterator({ destroyOnReturn: false });
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding === "identity") return source;
  const unpacker = Object.entries(unpackers).find(([name]) => name === encoding)?.[1];
  if (unpacker) return unpack(source, unpacker());
  response.statusCode = 415;
  response.setHeader("accept-encoding", "gzip, deflate, br");
  throw new SteplogError(
    "INVALID_ARGUMENT",
    "The body has a Content-Encoding that is not known. Send it as it is, or packed with gzip, deflate or br.",
  );
}

async function* unpack(source: AsyncIterable<Uint8Array>, unpacker: Transform): AsyncGenerator<Uint8Array> {
  // Whatever ends the source or the unpacker early also ends the loop below.
  pipeline(source, unpacker).catch(() => {});
  try {
    for await (const chunk of unpacker) yield chunk as Uint8Array;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    // Codes of zlib, and of brotli.
    if (!/^(?:Z_|ERR__)/u.test(code)) throw error;
    throw new SteplogError("INVALID_ARGUMENT", "The body is not what its Content-Encoding says, or it is cut off.");
  }
}
