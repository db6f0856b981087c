/**
 * Uploads: large files sent over the tus protocol, which resumes after a broken connection. They stay in a folder until
 * a mutation turns them into datasets, or for one day. Those of a project that is erased go with it (erased-uploads.ts).
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { FileStore } from "@tus/file-store";
import { Server as TusServer } from "@tus/server";
import type { Logger } from "pino";
import { SteplogError, type ErrorCode, asDiskError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import { type Viewer, defaultProjectId } from "../../schema/projects.ts";
import { msOfDay } from "../../schema/units.ts";
import { toHttpError } from "../errors.ts";
import { rateHeaders } from "./rate-headers.ts";
import { readTarget } from "./target.ts";

const streamPrefix = "stream-";
const sweepMs = 60 * 60 * 1000;

export interface UploadsOptions {
  readonly directory: string;
  readonly log: Logger;
  /** Address of this server as a client with this Host header sees it. */
  readonly originOf: (host: string) => string;
  readonly originAllowed: (origin: string) => boolean;
}

export class Uploads {
  readonly #directory: string;
  readonly #files: FileStore;
  readonly #tus: TusServer;
  readonly #sweep: NodeJS.Timeout;

  constructor({ directory, log, originOf, originAllowed }: UploadsOptions) {
    this.#directory = directory;
    this.#files = new FileStore({ directory, expirationPeriodInMilliseconds: msOfDay });
    this.#tus = new TusServer({
      path: "/uploads",
      datastore: this.#files,
      maxSize: limits.datasetBytes,
      allowedOrigins: originAllowed,
      allowedHeaders: ["Authorization"],
      exposedHeaders: rateHeaders,
      namingFunction: () => nameFor(owner.getStore()),
      generateUrl: (_request, { host, id }) => `${originOf(host)}/uploads/${id}`,
      onResponseError: (_request, error) => tusError(error, log),
    });
    const sweep = () => {
      this.#removeOld().catch((error: unknown) => log.warn({ err: error }, "cannot remove old uploads"));
    };
    this.#sweep = setInterval(sweep, sweepMs).unref();
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    await this.#removeOld();
  }

  /** Removes abandoned uploads, and spooled bodies left by a server that was killed. */
  async #removeOld(): Promise<void> {
    await this.#files.deleteExpired();
    const streams = (await readdir(this.#directory)).filter((name) => name.startsWith(streamPrefix));
    for (const path of streams.map((name) => join(this.#directory, name))) {
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > msOfDay) await rm(path, { force: true });
    }
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  /** The projects that have uploads here, without the default one. */
  async projects(): Promise<string[]> {
    const names = await readdir(this.#directory);
    return [...new Set(names.flatMap((name) => ofProject.exec(name)?.slice(1) ?? []))];
  }

  /** Removes all uploads of a project, also one that is just arriving. */
  async removeOf(projectId: string): Promise<void> {
    const names = (await readdir(this.#directory)).filter((name) => name.startsWith(`${projectId}.`));
    await Promise.all(names.map((name) => rm(join(this.#directory, name), { force: true })));
  }

  /** Answers a request of the tus protocol. @throws NOT_FOUND for an upload of another project */
  handle(request: IncomingMessage, response: ServerResponse, viewer: Viewer | null): Promise<void> {
    const { pathname } = readTarget(request);
    // No other spelling: the protocol's server would decode it to an id that was not looked at.
    const [isPlain, id] = /^\/uploads(?:\/([\w.-]+))?\/?$/u.exec(pathname) ?? [];
    if (isPlain === undefined || (viewer && id !== undefined && ownerOf(id) !== viewer.projectId))
      throw new SteplogError("NOT_FOUND", "There is no upload with this id.");
    return owner.run(viewer?.projectId, () => this.#tus.handle(request, response));
  }

  /** A complete upload of a project. @throws NOT_FOUND, INVALID_STATE */
  async complete(idOrUrl: string, field: string, projectId: string) {
    const id = idOrUrl.slice(idOrUrl.lastIndexOf("/") + 1);
    const isMine = ownerOf(id) === projectId;
    const upload = isMine ? await this.#files.getUpload(id).catch(() => null) : null;
    if (!upload)
      throw uploadError("NOT_FOUND", field, "There is no upload with this id. It may have been used already.");
    if (upload.size === undefined || upload.offset !== upload.size) {
      const size = upload.size ?? "an unknown number of";
      throw uploadError(
        "INVALID_STATE",
        field,
        `The upload is incomplete: ${upload.offset} of ${size} bytes have arrived. Resume it.`,
      );
    }
    return {
      path: join(this.#directory, id),
      // Two mutations may have used the same upload; then the file is already gone.
      remove: () => this.#files.remove(id).catch(() => {}),
    };
  }

  /** The path of a file for the work of one request; it is not there yet. */
  scratch() {
    const path = join(this.#directory, streamPrefix + randomUUID());
    return { path, remove: () => rm(path, { force: true }) };
  }

  /** Writes a stream to a file. @throws PAYLOAD_TOO_LARGE */
  async spool(source: AsyncIterable<Uint8Array>) {
    const { path, remove } = this.scratch();
    try {
      await pipeline(source, atMost(limits.datasetBytes), createWriteStream(path));
    } catch (error) {
      await remove();
      throw asDiskError(error, `The folder of uploads ${this.#directory}`);
    }
    return { path, remove };
  }
}

/** Passes bytes through, up to a limit. @throws PAYLOAD_TOO_LARGE */
export function atMost(limit: number) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > limit)
        throw new SteplogError("PAYLOAD_TOO_LARGE", `The body is larger than the limit of ${limit} bytes.`);
      yield chunk;
    }
  };
}

/** The project whose request it is: the protocol's server hands on nothing but what a client has sent. */
const owner = new AsyncLocalStorage<string | undefined>();

/** Those of the default project have nothing in front. */
function nameFor(projectId: string | undefined): string {
  const name = randomBytes(16).toString("hex");
  return projectId === undefined || projectId === defaultProjectId ? name : `${projectId}.${name}`;
}

/** A file of an upload with a project in front of its name. */
const ofProject = /^([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\./u;

function ownerOf(id: string): string {
  const end = id.indexOf(".");
  return end === -1 ? defaultProjectId : id.slice(0, end);
}

function uploadError(code: ErrorCode, field: string, message: string): SteplogError {
  return new SteplogError(code, message, [{ field, message }]);
}

type TusError = Error | { status_code: number; body: string };

/** Errors of the protocol keep their status, which tus clients act on, but get the same body as all other errors. */
function tusError(error: TusError, log: Logger): { status_code: number; body: string } {
  if (!("status_code" in error)) {
    const { status, body } = toHttpError(error, log);
    return { status_code: status, body };
  }
  const message = error.body.trim();
  return {
    status_code: error.status_code,
    body: toHttpError(new SteplogError(tusCode(error.status_code), message), log).body,
  };
}

function tusCode(status: number): ErrorCode {
  const codes: Record<number, ErrorCode> = {
    404: "NOT_FOUND",
    409: "CONFLICT",
    410: "NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
  };
  return codes[status] ?? "INVALID_ARGUMENT";
}
