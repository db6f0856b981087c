/** What both halves of the stand-in for the hub share: its state, and the forms of its answers. */
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";

export interface HubRepository {
  /** Commits by branch, tag or itself. */
  readonly revisions: Readonly<Record<string, string>>;
  /** Files by commit and name. */
  readonly commits: Readonly<Record<string, Readonly<Record<string, Buffer>>>>;
  /** Needed to see it. */
  readonly token?: string;
  readonly private?: boolean;
  readonly gated?: boolean;
}

export interface Faults {
  /** Bytes of each answer with a large file, after which its connection is cut; none when it is used up. */
  cuts: number[];
  /** Answers 503 to this many requests for files. */
  unavailable: number;
  /** Files whose last byte is another than the hub lists. */
  readonly corrupt: Set<string>;
  /** Sends whole files only. */
  wholeOnly: boolean;
  /** Never answers a request for a file's bytes. */
  silent: boolean;
  /** The same for a large file, once the cuts are used up. */
  silentAfterCuts: boolean;
  /** Sends so many bytes of a large file, and then no more, with the connection left open; null for all of it. */
  heldAt: number | null;
  /** Tells of large files as the hub does that keeps them in its newer storage. */
  xet: boolean;
  /** Names the second page of a listing at the storage. */
  strayPages: boolean;
  /** Answers every commit, or every upload of a large file, with this status. */
  commitStatus: number | null;
  uploadStatus: number | null;
  /** Never answers an upload of a large file. */
  silentUploads: boolean;
}

export interface SeenRequest {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface HubWriter {
  readonly name: string;
  readonly role: "read" | "write";
  /** Users and organisations that the token may write for. */
  readonly namespaces: readonly string[];
}

export interface TestHub {
  readonly url: string;
  /** Who may write, by token. */
  readonly writers: Map<string, HubWriter>;
  /** Large files that were uploaded, by SHA-256; a commit makes them visible. */
  readonly uploads: Map<string, Buffer>;
  readonly repositories: Map<string, HubRepository>;
  readonly faults: Faults;
  readonly seen: SeenRequest[];
}

export const commitOf = (text: string) => createHash("sha1").update(text).digest("hex");
export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** Git keeps what is larger than this outside. */
export const lfsBytes = 100_000;
export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const headers = { ...(code && { "x-error-code": code }), "x-error-message": message };
  response.writeHead(status, { ...headers, "content-type": "application/json" });
  response.end(JSON.stringify({ error: message }));
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
