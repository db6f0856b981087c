/**
 * The Hugging Face hub, by its own library: which commit a revision is, which files it has, and their bytes. Every request
 * goes through one fetch of ours, which adds what the library leaves open:
 *
 * - The token goes to the hub alone, not to the storage that it redirects to.
 * - A refusal becomes an error that says what to do; its code tells whether it may pass (UNAVAILABLE).
 * - A connection that says nothing for a while is given up.
 */
import { downloadFile, listFiles, modelInfo } from "@huggingface/hub";
import { SteplogError } from "../../schema/errors.ts";
import type { HubToken } from "./token.ts";

export interface HubAccess {
  /** Address of the hub, or of a mirror of it. */
  readonly endpoint: string;
  readonly token: HubToken | undefined;
}

/** A file of a commit. Git names small files by a SHA-1 of their own; large ones have a SHA-256. */
export interface HubFile {
  readonly name: string;
  readonly bytes: number;
  readonly checksum: { readonly kind: "sha256" | "git"; readonly hex: string };
}

export interface HubCommit {
  readonly repository: string;
  /** As it was asked for: a branch, tag or commit. */
  readonly revision: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Files of its main folder. */
  readonly files: readonly HubFile[];
}

export interface HubOptions {
  /** How long a connection may be silent. */
  readonly silenceMs: number;
  /** Sends a request, through a proxy where there is one. */
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

  /** The bytes of a file from `start` on. @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE; MODEL_INVALID for another size */
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
    // Not by xet, the hub's other way for large files: this one has ranges, so that it goes on where it stopped.
    const place = { repo, path: file.name, revision: commit.commit, xet: false };
    const blob = await line.ask((params) => downloadFile({ ...params, ...place }));
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

/** The requests of one question or one file. */
class Line {
  /** What ended it, as the caller should see it: the library passes on only the words of an error, or none. */
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
      this.failure ??= unreachable(access, `it said nothing for ${silenceMs / 1000} s`);
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
    // A redirect to another origin is followed without it: fetch takes it off.
    if (token && url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token.secret}`);
    try {
      const response = await this.#send(url, { ...init, headers, signal: this.#ending.signal });
      this.heard();
      if (!response.ok) throw await refusal(response, this.#access, this.#about);
      if (isWhole(headers, response)) throw unreachable(this.#access, "it does not send files in parts");
      return response;
    } catch (error) {
      this.failure ??= error instanceof SteplogError ? error : unreachable(this.#access, reasonOf(error), error);
      throw this.failure;
    }
  };
}

/** Whether the rest of a file was asked for and the whole came, which would be written behind what is there. */
function isWhole(headers: Headers, response: Response): boolean {
  const range = headers.get("range");
  // One byte is asked for to learn the size, and the hub may answer that with what it knows of the file.
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
    token === undefined ? "set HF_TOKEN to a token that may" : `see whether the token in ${token.from} may`;
  if (code === "GatedRepo") {
    const advice = `Accept its terms on its page, and ${tokenAdvice} read it.`;
    return new SteplogError("UNAUTHENTICATED", `${repository} is open only to those who ask. ${advice} ${said}.`);
  }
  if (code === "RevisionNotFound") {
    return new SteplogError("NOT_FOUND", `${repository} has no revision "${revision}". Give a branch, tag or commit.`);
  }
  if (status === 401 || status === 403) {
    const advice = `Look at how it is spelled; if it is private, ${tokenAdvice} read it.`;
    return new SteplogError("UNAUTHENTICATED", `There is no ${repository} that we may see. ${advice} ${said}.`);
  }
  if (status === 404 || status === 410) {
    return new SteplogError("NOT_FOUND", `There is no ${repository} on the hub, or not this file of it. ${said}.`);
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

/** What the library says of an answer that is none of the hub's. */
function notTheHub({ endpoint }: HubAccess, cause: unknown): SteplogError {
  const advice = "Is HF_ENDPOINT the address of a hub?";
  return new SteplogError(
    "UNAVAILABLE",
    `${endpoint} does not answer as a hub does (${reasonOf(cause)}). ${advice}`,
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
  return new SteplogError("MODEL_INVALID", `The hub lists ${name} with ${bytes} bytes and has ${seen} of it.`);
}

/** fetch says "fetch failed", and the last of its causes why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
