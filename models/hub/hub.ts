/**
 * The Hugging Face hub, through its own library: the commit of a revision, its files, and their bytes. Every request goes
 * through our own fetch, which adds what the library lacks:
 *
 * - The token is sent to the hub alone, not to the storage that it redirects to.
 * - A refusal becomes an error that explains what to do; the code UNAVAILABLE marks those worth retrying.
 * - A connection without data for a while is closed.
 */
import { downloadFile, listFiles, modelInfo } from "@huggingface/hub";
import { SteplogError } from "../../schema/errors.ts";
import { counted } from "../../schema/units.ts";
import type { HubToken } from "./token.ts";

export interface HubAccess {
  /** Address of the hub or of a mirror. */
  readonly endpoint: string;
  readonly token: HubToken | undefined;
}

/** A file of a commit. The hub gives small files the SHA-1 of git, and large ones a SHA-256. */
export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  readonly checksum: { readonly kind: "sha256" | "git"; readonly hex: string };
}

export interface HubCommit {
  readonly repository: string;
  /** As requested: a branch, tag or commit. */
  readonly revision: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Files of the root folder. */
  readonly files: readonly HubFile[];
}

export interface HubOptions {
  /** How long a connection may be without data, milliseconds. */
  readonly silenceMs: number;
  /** Sends a request, through a proxy if there is one. */
  readonly fetch: typeof fetch;
}

export class Hub {
  readonly access: HubAccess;
  readonly #options: HubOptions;

  constructor(access: HubAccess, options: Partial<HubOptions> = {}) {
    this.access = { ...access, endpoint: access.endpoint.replace(/\/+$/u, "") };
    this.#options = { silenceMs: 60_000, fetch, ...options };
  }

  /** @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE */
  async commitOf(repository: string, revision: string): Promise<HubCommit> {
    const about = { repository, revision };
    const { sha } = await this.#ask(about, (params) =>
      modelInfo({ ...params, name: repository, revision, additionalFields: ["sha"] }),
    );
    const files = await this.#ask(about, async (params) => {
      const found: HubFile[] = [];
      for await (const entry of listFiles({ ...params, repo: { type: "model", name: repository }, revision: sha })) {
        if (entry.type === "file") found.push(fileOf(entry));
      }
      return found;
    });
    return { repository, revision, commit: sha, files };
  }

  /** The bytes of a file from offset `start`. @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE; MODEL_INVALID for another size */
  async *read(commit: HubCommit, file: HubFile, start: number): AsyncGenerator<Uint8Array> {
    const line = new Line(this.access, commit, this.#options);
    try {
      const blob = await this.#blobOf(line, commit, file);
      try {
        for await (const chunk of blob.slice(start).stream()) {
          line.heard();
          yield chunk;
        }
      } catch (error) {
        throw line.failure ?? cut(file, error);
      }
    } finally {
      line.close();
    }
  }

  async #blobOf(line: Line, commit: HubCommit, file: HubFile): Promise<Blob> {
    const repo = { type: "model", name: commit.repository } as const;
    // Not by xet, the hub's other protocol for large files: this one has ranges, so that a download can resume.
    const location = { repo, path: file.name, revision: commit.commit, xet: false };
    const blob = await line.ask((params) => downloadFile({ ...params, ...location }));
    if (blob?.size !== file.bytes) throw otherSize(file, blob?.size ?? 0);
    return blob;
  }

  async #ask<T>(about: About, question: Question<T>): Promise<T> {
    const line = new Line(this.access, about, this.#options);
    try {
      return await line.ask(question);
    } finally {
      line.close();
    }
  }
}

function fileOf(entry: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } }): HubFile {
  const { path: name, size, oid = "", lfs } = entry;
  if (lfs) return { name, bytes: lfs.size, checksum: { kind: "sha256", hex: lfs.oid } };
  return { name, bytes: size, checksum: { kind: "git", hex: oid } };
}

type About = Pick<HubCommit, "repository" | "revision">;
type Question<T> = (params: { hubUrl: string; fetch: typeof fetch }) => Promise<T>;

/** The requests of one query or one file. */
class Line {
  /** Why it ended, for the caller: the library passes on only the message of an error, or nothing. */
  failure: SteplogError | null = null;
  readonly #access: HubAccess;
  readonly #about: About;
  readonly #send: typeof fetch;
  readonly #ending = new AbortController();
  readonly #patience: NodeJS.Timeout;

  constructor(access: HubAccess, about: About, { silenceMs, fetch }: HubOptions) {
    this.#access = access;
    this.#about = about;
    this.#send = fetch;
    this.#patience = setTimeout(() => {
      this.failure ??= unreachable(access, `it sent no data for ${silenceMs / 1000} s`);
      this.#ending.abort();
    }, silenceMs);
  }

  async ask<T>(question: Question<T>): Promise<T> {
    try {
      return await question({ hubUrl: this.#access.endpoint, fetch: this.fetch });
    } catch (error) {
      throw this.failure ?? notTheHub(this.#access, error);
    }
  }

  heard(): void {
    this.#patience.refresh();
  }

  close(): void {
    clearTimeout(this.#patience);
    this.#ending.abort();
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const { endpoint, token } = this.#access;
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    // fetch removes it when it follows a redirect to another origin.
    if (token && url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token.secret}`);
    try {
      const response = await this.#send(url, { ...init, headers, signal: this.#ending.signal });
      this.heard();
      if (!response.ok) throw await refusal(response, this.#access, this.#about);
      if (isWhole(headers, response))
        throw unreachable(this.#access, "it does not support ranges, which downloads need");
      return response;
    } catch (error) {
      this.failure ??= error instanceof SteplogError ? error : unreachable(this.#access, reasonOf(error), error);
      throw this.failure;
    }
  };
}

/** Whether the rest of a file was requested and all of it came, which would be appended to the bytes so far. */
function isWhole(headers: Headers, response: Response): boolean {
  const range = headers.get("range");
  // A request for one byte asks for the size, and the hub may answer it with other information on the file.
  return range !== null && range !== "bytes=0-0" && response.status !== 206;
}

async function refusal(
  response: Response,
  { token }: HubAccess,
  { repository, revision }: About,
): Promise<SteplogError> {
  const { status } = response;
  const code = response.headers.get("x-error-code") ?? "";
  const words = (response.headers.get("x-error-message") ?? (await wordsOf(response)))
    .replaceAll(/\p{Cc}/gu, " ")
    .slice(0, 300);
  const said = `The hub answers ${status}${words === "" ? "" : `, "${words}"`}`;
  const tokenAdvice =
    token === undefined ? "set HF_TOKEN to a token that may" : `check that the token in ${token.from} may`;
  if (code === "GatedRepo") {
    const advice = `Accept its terms on its page, and ${tokenAdvice} read it.`;
    return new SteplogError("UNAUTHENTICATED", `${repository} is gated. ${advice} ${said}.`);
  }
  if (code === "RevisionNotFound") {
    return new SteplogError("NOT_FOUND", `${repository} has no revision "${revision}". Give a branch, tag or commit.`);
  }
  if (status === 401 || status === 403) {
    const advice = `Check the spelling; if it is private, ${tokenAdvice} read it.`;
    return new SteplogError("UNAUTHENTICATED", `${repository} does not exist or is private. ${advice} ${said}.`);
  }
  if (status === 404 || status === 410) {
    return new SteplogError("NOT_FOUND", `The hub has no ${repository}, or it lacks a file. ${said}.`);
  }
  const passing = status === 408 || status === 429 || status >= 500;
  return new SteplogError(passing ? "UNAVAILABLE" : "INVALID_ARGUMENT", `${said} about ${repository}.`);
}

async function wordsOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
}

function unreachable({ endpoint }: HubAccess, reason: string, cause?: unknown): SteplogError {
  return new SteplogError("UNAVAILABLE", `${endpoint} cannot be used: ${reason}.`, [], { cause });
}

/** The library's error for a response that is not a hub's. */
function notTheHub({ endpoint }: HubAccess, cause: unknown): SteplogError {
  const advice = "Check that HF_ENDPOINT is the address of a hub.";
  return new SteplogError(
    "UNAVAILABLE",
    `${endpoint} does not respond like a hub (${reasonOf(cause)}). ${advice}`,
    [],
    {
      cause,
    },
  );
}

function cut({ name }: HubFile, cause: unknown): SteplogError {
  return new SteplogError("UNAVAILABLE", `The connection broke in the middle of ${name} (${reasonOf(cause)}).`, [], {
    cause,
  });
}

function otherSize({ name, bytes }: HubFile, seen: number): SteplogError {
  return new SteplogError("MODEL_INVALID", `The hub lists ${name} with ${counted(bytes, "byte")}, but serves ${seen}.`);
}

/** fetch says only "fetch failed"; its innermost cause explains why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
