/** Files over HTTP, with ranges and conditional requests, by `send`. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import send from "send";
import { SteplogError } from "../../schema/errors.ts";

export interface SendFileOptions {
  readonly root: string;
  /** Relative to the root. A path that leads out of it is NOT_FOUND. */
  readonly path: string;
  readonly cacheControl?: boolean;
}

/** @throws NOT_FOUND, INVALID_ARGUMENT for a range outside the file (with the headers of a 416 already set) */
export async function sendFile(request: IncomingMessage, response: ServerResponse, options: SendFileOptions) {
  const { root, path, cacheControl = true } = options;
  const stream = send(request, encodeURI(path), { root, cacheControl, index: "index.html", dotfiles: "deny" });
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on("error", (error: unknown) => reject(asError(error, response)));
    stream.on("directory", () => reject(new SteplogError("NOT_FOUND", "There is nothing at this path.")));
  });
  const closed = once(response, "close");
  stream.pipe(response);
  await Promise.race([failed, closed]);
}

function asError(error: unknown, response: ServerResponse): Error {
  const { status, headers } = responseTo(error);
  if (status === 416) {
    response.statusCode = 416;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, String(value));
    return new SteplogError("INVALID_ARGUMENT", "The requested range is outside the file.");
  }
  if (status === 412) {
    response.statusCode = 412;
    return new SteplogError(
      "INVALID_STATE",
      "The file does not match the condition of the request (If-Match or If-Unmodified-Since).",
    );
  }
  if (status >= 500 || !(error instanceof Error)) return error instanceof Error ? error : new Error(String(error));
  return new SteplogError("NOT_FOUND", "There is no such file.", [], { cause: error });
}

function responseTo(error: unknown): { status: number; headers: object } {
  if (typeof error !== "object" || error === null) return { status: 500, headers: {} };
  const status = "status" in error && typeof error.status === "number" ? error.status : 500;
  const headers = "headers" in error && typeof error.headers === "object" ? (error.headers ?? {}) : {};
  return { status, headers };
}
