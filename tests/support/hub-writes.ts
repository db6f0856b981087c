/** The part of the stand-in for the hub that is written to: who one is, making repositories, uploads and commits. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { HubRepository, HubWriter, TestHub } from "./hub-answers.ts";
import { commitOf, lfsBytes, refuse, sendJson, sha256 } from "./hub-answers.ts";

type Written = Omit<TestHub, "url">;

/** Requests that only somebody who pushes makes. */
export function isWrite({ method, url = "" }: IncomingMessage): boolean {
  return method === "POST" || url === "/api/whoami-v2";
}

export async function answerWrite(hub: TestHub, storage: string, request: IncomingMessage, response: ServerResponse) {
  const { pathname } = new URL(request.url ?? "/", hub.url);
  const writer = hub.writers.get((request.headers.authorization ?? "").replace("Bearer ", ""));
  if (!writer) return refuse(response, 401, "", "Invalid username or password.");
  if (pathname === "/api/whoami-v2") {
    const accessToken = { displayName: "test", role: writer.role };
    return sendJson(response, { type: "user", name: writer.name, auth: { type: "access_token", accessToken } });
  }
  const body = await buffer(request);
  if (pathname === "/api/repos/create") return makeRepository(hub, writer, body, response);
  const [, name = "", what = ""] =
    /^\/(?:api\/models\/)?([^/]+\/[^/]+?)(?:\/(preupload|commit)\/main|\.git\/info\/lfs\/objects\/(batch))$/u
      .exec(pathname)
      ?.filter((part) => part !== undefined) ?? [];
  const repository = hub.repositories.get(name);
  if (!repository) return refuse(response, 404, "RepoNotFound", "Repository not found");
  if (!mayWrite(writer, name)) return refuse(response, 403, "", "You don't have the rights to write here.");
  if (what === "preupload") return sendJson(response, { files: modesOf(body) });
  if (what === "batch") return sendJson(response, { transfer: "basic", objects: actionsOf(hub, storage, body) });
  return commit(hub, name, repository, body, response);
}

/** PUT of a large file. */
export async function takeUpload(hub: Written, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const bytes = await buffer(request);
  if (hub.faults.silentUploads) return;
  if (hub.faults.uploadStatus !== null) return refuse(response, hub.faults.uploadStatus, "", "No room");
  hub.uploads.set(sha256(bytes), bytes);
  response.writeHead(200).end();
}

function mayWrite({ role, namespaces }: HubWriter, repository: string): boolean {
  return role === "write" && namespaces.includes(repository.split("/")[0] ?? "");
}

function makeRepository(hub: TestHub, writer: HubWriter, body: Buffer, response: ServerResponse): void {
  const asked = JSON.parse(body.toString()) as { name: string; organization: string; visibility?: string };
  const name = `${asked.organization}/${asked.name}`;
  if (!mayWrite(writer, name)) return refuse(response, 403, "", "You don't have the rights to create a model here.");
  if (hub.repositories.has(name)) return refuse(response, 409, "", "You already created this model repo");
  const first = commitOf(name);
  const files = { ".gitattributes": Buffer.from("*.safetensors filter=lfs\n") };
  const revisions = { main: first, [first]: first };
  hub.repositories.set(name, { revisions, commits: { [first]: files }, private: asked.visibility === "private" });
  sendJson(response, { url: `${hub.url}/${name}`, id: "1" });
}

function modesOf(body: Buffer) {
  const { files } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
  return files.map(({ path, size }) => ({ path, uploadMode: size > lfsBytes ? "lfs" : "regular" }));
}

function actionsOf(hub: TestHub, storage: string, body: Buffer) {
  const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
  return objects.map(({ oid, size }) => ({
    oid,
    size,
    ...(!hub.uploads.has(oid) && { actions: { upload: { href: `${storage}/${oid}` } } }),
  }));
}

type CommitLine =
  | { readonly key: "header"; readonly value: { readonly summary: string; readonly parentCommit?: string } }
  | { readonly key: "file"; readonly value: { readonly path: string; readonly content: string } }
  | { readonly key: "lfsFile"; readonly value: { readonly path: string; readonly oid: string } }
  | { readonly key: "deletedFile"; readonly value: { readonly path: string } };

function commit(
  hub: TestHub,
  name: string,
  { revisions, commits, ...rest }: HubRepository,
  body: Buffer,
  response: ServerResponse,
) {
  if (hub.faults.commitStatus !== null) return refuse(response, hub.faults.commitStatus, "", "No commit");
  const lines = body
    .toString()
    .split("\n")
    .map((line) => JSON.parse(line) as CommitLine);
  const parent = revisions["main"] ?? "";
  const files = new Map(Object.entries(commits[parent] ?? {}));
  for (const { key, value } of lines) {
    if (key === "header" && value.parentCommit !== parent) return refuse(response, 412, "", "The branch has moved");
    if (key === "file") files.set(value.path, Buffer.from(value.content, "base64"));
    if (key === "deletedFile" && !files.delete(value.path)) return refuse(response, 400, "", "No such file");
    if (key !== "lfsFile") continue;
    const bytes = hub.uploads.get(value.oid);
    if (!bytes) return refuse(response, 400, "", `LFS pointer ${value.oid} was not uploaded`);
    files.set(value.path, bytes);
  }
  const oid = commitOf(`${parent} ${body.toString()}`);
  const all = { ...commits, [oid]: Object.fromEntries(files) };
  hub.repositories.set(name, { ...rest, revisions: { ...revisions, main: oid, [oid]: oid }, commits: all });
  sendJson(response, { commitOid: oid, commitUrl: `${hub.url}/${name}/commit/${oid}`, hookOutput: "" });
}
