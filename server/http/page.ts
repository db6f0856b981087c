/** The dashboard's files. Its own router reads the path, so every path without an extension gets the page, and those of models, whose names may end like one. */
import { access, readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { SteplogError } from "../../schema/errors.ts";
import { withoutFolders } from "../../schema/folders-in-messages.ts";
import { sendFile } from "./files.ts";

/** @param prefix under which clients reach the gateway, such as "/steplog"; "" at the root of a host */
export async function sendPage(
  { root, prefix }: { readonly root: string; readonly prefix: string },
  pathname: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (/\.\w+$/u.test(pathname) && !pathname.startsWith("/models/")) {
    // Their names have the hash of what is in them.
    const kept = pathname.startsWith("/assets/");
    if (kept) response.setHeader("cache-control", "public, max-age=31536000, immutable");
    const file = await packedFile(root, pathname, request, response);
    return sendFile(request, response, { root, path: file, cacheControl: !kept });
  }
  const html = await pageOf(root);
  const body = Buffer.from(html.replace('<base href="/" />', `<base href="${prefix}/" />`));
  response.setHeader("content-type", "text/html; charset=utf-8");
  // A new release is seen at the next load.
  response.setHeader("cache-control", "no-cache");
  response.setHeader("content-length", body.length);
  response.end(request.method === "HEAD" ? undefined : body);
}

const packedTypes = new Map([
  [".js", "text/javascript; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
]);

/** The file as the build has packed it (dashboard/vite.config.ts), where it has and the client can unpack it: a third of the bytes. */
async function packedFile(
  root: string,
  pathname: string,
  { headers }: IncomingMessage,
  response: ServerResponse,
): Promise<string> {
  const type = packedTypes.get(path.extname(pathname));
  // A path that leads out of the folder is refused by what sends the file.
  if (type === undefined || pathname.includes("..")) return pathname;
  const packed = `${pathname}.gz`;
  const exists = await access(path.join(root, packed)).then(
    () => true,
    () => false,
  );
  if (!exists) return pathname;
  response.setHeader("vary", "accept-encoding");
  if (!/\bgzip\b/u.test(headers["accept-encoding"]?.toString() ?? "")) return pathname;
  response.setHeader("content-type", type);
  response.setHeader("content-encoding", "gzip");
  return packed;
}

async function pageOf(root: string): Promise<string> {
  try {
    return await readFile(path.join(root, "index.html"), "utf8");
  } catch (error) {
    throw new SteplogError(
      "NOT_FOUND",
      `There is no page in ${withoutFolders(root)}: build it with npm run build.`,
      [],
      {
        cause: error,
      },
    );
  }
}

/** What a public URL has after its host: "" or "/steplog". */
export function prefixOf(publicUrl: string | undefined): string {
  const text = publicUrl !== undefined && URL.canParse(publicUrl) ? new URL(publicUrl).pathname : "";
  return text.replace(/\/+$/u, "");
}
