/** The export of a project, as one tar: it is made while it is sent, and ends without its last file if that fails. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { rowIdOf } from "../../schema/webhooks.ts";
import type { ProjectStore } from "../../store/store.ts";

export async function sendProject(
  store: ProjectStore,
  id: string,
  { searchParams }: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader("cache-control", "private, no-store");
  if (request.method === "HEAD") return void response.end();
  const options = { weights: searchParams.get("weights") !== "no" };
  const { project, tar } = await store.administration.exportProject(rowIdOf(id), options);
  const name = project.name.replaceAll(/[^\w.-]+/gu, "-").replaceAll(/^[.-]+|-+$/gu, "") || "project";
  response.setHeader("content-type", "application/x-tar");
  response.setHeader("content-disposition", `attachment; filename="${name}.tar"`);
  // A client that leaves ends the reading.
  await pipeline(Readable.from(tar, { objectMode: false }), response);
}
