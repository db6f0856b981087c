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
import type { HubAccess, HubOptions, Question, Refusal } from "./line.ts";
import { Line, reasonOf, saidBy } from "./line.ts";

export type { HubAccess } from "./line.ts";

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

  /** For requests of another kind. Close it. */
  line(refusal: Refusal, onSent?: (bytes: number) => void): Line {
    return new Line(this.access, refusal, this.#options, onSent);
  }

  /** The bytes of a file from offset `start`. @throws NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE; MODEL_INVALID for another size */
  async *read(commit: HubCommit, file: HubFile, start: number): AsyncGenerator<Uint8Array> {
    const line = this.line((response) => refusal(response, this.access, commit));
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
    const line = this.line((response) => refusal(response, this.access, about));
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

async function refusal(
  response: Response,
  { token }: HubAccess,
  { repository, revision }: About,
): Promise<SteplogError> {
  const { status } = response;
  const code = response.headers.get("x-error-code") ?? "";
  const said = await saidBy(response);
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

function cut({ name }: HubFile, cause: unknown): SteplogError {
  return new SteplogError("UNAVAILABLE", `The connection broke in the middle of ${name} (${reasonOf(cause)}).`, [], {
    cause,
  });
}

function otherSize({ name, bytes }: HubFile, seen: number): SteplogError {
  return new SteplogError("MODEL_INVALID", `The hub lists ${name} with ${counted(bytes, "byte")}, but serves ${seen}.`);
}
