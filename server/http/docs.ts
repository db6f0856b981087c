/** The documentation's files, below /docs/. Their links are relative, so they need to know of no prefix. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SteplogError } from "../../schema/errors.ts";
import { sendFile } from "./files.ts";

export const isDocs = (pathname: string): boolean => /^\/docs(?:\/|$)/u.test(pathname);

/** @param root folder of the built site; without it nothing is there */
export async function sendDocs(
  root: string | undefined,
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (root === undefined) {
    throw new SteplogError("NOT_FOUND", "The documentation is not built here: build it with npm run build.");
  }
  // Relative, as a proxy's prefix is in the address that the client sees.
  if (pathname === "/docs") {
    response.writeHead(308, { location: "docs/", "content-length": 0 }).end();
    return;
  }
  const path = pathname.slice("/docs".length);
  // Their names have the hash of what is in them. A new release's pages are seen at the next load.
  const kept = /^\/assets\/[\w-]+\.[\w-]+\.\w+$/u.test(path);
  response.setHeader("cache-control", kept ? "public, max-age=31536000, immutable" : "no-cache");
  return sendFile(request, response, { root, path, cacheControl: false });
}
