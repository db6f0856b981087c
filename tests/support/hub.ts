/**
 * A stand-in for the Hugging Face hub: the few answers that its library asks for, over real HTTP, with the faults that a
 * network has. Large files are on a second server, as the hub's are, which must never see the token.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Faults, HubRepository, HubWriter, SeenRequest, TestHub } from "./hub-answers.ts";
import { commitOf, lfsBytes, refuse, sendJson, sha256 } from "./hub-answers.ts";
import { answerWrite, isWrite, takeUpload } from "./hub-writes.ts";

export type { HubRepository, TestHub } from "./hub-answers.ts";
export { commitOf } from "./hub-answers.ts";

/** Files of a folder, as a commit. */
export async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)),
  );
}

/** A repository with one commit, "main". */
export function repositoryOf(files: Record<string, Buffer>): HubRepository {
  const commit = commitOf(Object.keys(files).join());
  return { revisions: { main: commit, [commit]: commit }, commits: { [commit]: files } };
}

export interface Tls {
  readonly key: string;
  readonly cert: string;
}

/** Files of one page of a listing. */
const pageSize = 3;

/** With a key and its certificate, it speaks https. */
export async function testHub(repositories: Record<string, HubRepository> = {}, tls?: Tls): Promise<TestHub> {
  const faults: Faults = {
    cuts: [],
    unavailable: 0,
    corrupt: new Set(),
    wholeOnly: false,
    silent: false,
    silentAfterCuts: false,
    heldAt: null,
    xet: false,
    strayPages: false,
    commitStatus: null,
    uploadStatus: null,
    silentUploads: false,
  };
  const hub = {
    repositories: new Map(Object.entries(repositories)),
    faults,
    seen: [] as SeenRequest[],
    writers: new Map<string, HubWriter>(),
    uploads: new Map<string, Buffer>(),
  };
  const storage = await listen((request, response) => {
    note(hub.seen, "storage", request);
    if (request.method === "PUT") {
      void takeUpload(hub, request, response);
      return;
    }
    const sha = (request.url ?? "").slice(1);
    const found = [...hub.repositories.values()]
      .flatMap(({ commits }) => Object.values(commits).flatMap((files) => Object.entries(files)))
      .find(([, bytes]) => sha256(bytes) === sha);
    if (found) sendBytes(faults, found[0], found[1], request, response);
    else response.writeHead(404).end();
  }, tls);
  const server = await listen((request, response) => {
    note(hub.seen, "hub", request);
    const here = { ...hub, url: `${tls ? "https" : "http"}://${request.headers.host}` };
    if (isWrite(request)) void answerWrite(here, storage, request, response);
    else answer(here, storage, request, response);
  }, tls);
  return { ...hub, url: server };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function listen(handle: Handler, tls?: Tls): Promise<string> {
  const server: Server = tls ? createTlsServer(tls, handle) : createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `${tls ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function note(seen: SeenRequest[], server: "hub" | "storage", { url = "", headers }: IncomingMessage): void {
  seen.push({ server, path: url, range: headers.range, authorization: headers.authorization });
}

function answer(hub: TestHub, storage: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", hub.url);
  const [, api, name = "", revision = "", file = ""] =
    /^\/(api\/models\/)?([^/]+\/[^/]+)\/(?:revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/u.exec(url.pathname) ?? [];
  const repository = hub.repositories.get(name);
  if (!repository) return refuse(response, 401, "", "Invalid username or password.");
  if (repository.token !== undefined && request.headers.authorization !== `Bearer ${repository.token}`) {
    if (repository.gated) return refuse(response, 403, "GatedRepo", `Access to model ${name} is restricted.`);
    return refuse(response, 401, "RepoNotFound", "Repository not found");
  }
  const commit = repository.revisions[decodeURIComponent(revision)];
  const files = repository.commits[commit ?? ""];
  if (commit === undefined || !files) {
    return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${decodeURIComponent(revision)}`);
  }
  if (api === undefined) return resolveFile(hub, storage, files, file, request, response);
  if (url.pathname.includes("/revision/")) {
    return sendJson(response, { _id: "1", id: name, sha: commit, private: repository.private ?? false });
  }
  return listTree(files, url, hub.faults.strayPages ? storage : hub.url, response);
}

function listTree(files: Readonly<Record<string, Buffer>>, url: URL, next: string, response: ServerResponse): void {
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const entries = [
    { type: "directory", path: "onnx", size: 0, oid: "0".repeat(40) },
    ...Object.entries(files).map(entryOf),
  ];
  if (from + pageSize < entries.length) {
    url.searchParams.set("cursor", String(from + pageSize));
    response.setHeader("link", `<${next}${url.pathname}${url.search}>; rel="next"`);
  }
  sendJson(response, entries.slice(from, from + pageSize));
}

function entryOf([path, bytes]: [string, Buffer]) {
  const size = bytes.length;
  const oid = createHash("sha1").update(`blob ${size}\0`).update(bytes).digest("hex");
  const lfs = { oid: sha256(bytes), size, pointerSize: 130 };
  return { type: "file", path, size, oid, ...(size > lfsBytes && { lfs }) };
}

function resolveFile(
  hub: TestHub,
  storage: string,
  files: Readonly<Record<string, Buffer>>,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const bytes = files[name];
  if (!bytes) return refuse(response, 404, "EntryNotFound", "Entry not found");
  if (hub.faults.unavailable > 0) {
    hub.faults.unavailable -= 1;
    return refuse(response, 503, "", "Too busy");
  }
  if (bytes.length <= lfsBytes) return sendBytes(hub.faults, name, bytes, request, response);
  const linked = { "x-linked-size": bytes.length, "x-linked-etag": `"${sha256(bytes)}"` };
  if (hub.faults.xet && request.headers.accept?.includes("xet-fileinfo")) {
    const xet = { "content-type": "application/vnd.xet-fileinfo+json", "x-xet-hash": sha256(bytes) };
    const link = `<${hub.url}/auth>; rel="xet-auth", <${hub.url}/plan>; rel="xet-reconstruction-info"`;
    response.writeHead(200, { ...linked, ...xet, etag: `"${sha256(bytes)}"`, link }).end("{}");
    return;
  }
  response.writeHead(302, { ...linked, location: `${storage}/${sha256(bytes)}` }).end();
}

function sendBytes(faults: Faults, name: string, right: Buffer, request: IncomingMessage, response: ServerResponse) {
  if (faults.silent) return;
  const bytes = faults.corrupt.has(name)
    ? Buffer.concat([right.subarray(0, -1), Buffer.of((right.at(-1) ?? 0) ^ 1)])
    : right;
  const range = /^bytes=(\d+)-(\d+)$/u.exec(request.headers.range ?? "");
  const probe = request.headers.range === "bytes=0-0";
  const partial = range !== null && (probe || !faults.wholeOnly);
  const [start, end] = partial ? [Number(range[1]), Number(range[2]) + 1] : [0, bytes.length];
  const part = bytes.subarray(start, end);
  response.writeHead(partial ? 206 : 200, {
    "content-length": part.length,
    etag: `"${sha256(right)}"`,
    ...(partial && { "content-range": `bytes ${start}-${end - 1}/${bytes.length}` }),
  });
  const whole = probe || right.length <= lfsBytes;
  const cut = whole ? undefined : faults.cuts.shift();
  if (!whole && cut === undefined && faults.silentAfterCuts) return;
  if (!whole && faults.heldAt !== null) {
    response.write(part.subarray(0, faults.heldAt));
    return;
  }
  if (cut === undefined || cut >= part.length) response.end(part);
  else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}
