/** The client's platform on Node: files on disk, streamed uploads, and the package ws where Node has no WebSocket. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { SteplogError } from "../schema/errors.ts";
import { fileReason } from "../schema/file-errors.ts";
import type { Platform } from "./platform.ts";

export const nodePlatform: Platform = {
  async webSocket() {
    // From Node 22 on there is one.
    return (globalThis as { WebSocket?: unknown }).WebSocket ?? (await import("ws")).WebSocket;
  },
  async openFile(path) {
    const unreadable = (cause: unknown) =>
      new SteplogError("NOT_FOUND", `The file ${path} cannot be read: ${fileReason(cause)}.`, [], { cause });
    const file = createReadStream(path);
    await once(file, "open").catch((cause: unknown) => {
      throw unreadable(cause);
    });
    const chunks = async function* chunks() {
      try {
        yield* file as AsyncIterable<Uint8Array>;
      } catch (cause) {
        throw unreadable(cause);
      }
    };
    return Readable.toWeb(Readable.from(chunks())) as ReadableStream<Uint8Array>;
  },
  async saveFile(path, bytes, sha256) {
    await mkdir(dirname(path), { recursive: true });
    const part = `${path}.part`;
    const hash = createHash("sha256");
    const hashed = async function* hashed(chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    };
    try {
      await pipeline(Readable.fromWeb(bytes as NodeStream), hashed, createWriteStream(part));
      const seen = hash.digest("hex");
      if (sha256 !== undefined && seen !== sha256) throw damaged(path, seen, sha256);
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  },
  async bodyOf(bytes) {
    return { body: bytes, duplex: "half" };
  },
};

function damaged(path: string, seen: string, sha256: string): SteplogError {
  const message = `${path} arrived with the SHA-256 ${seen} instead of ${sha256}. Download it again.`;
  return new SteplogError("UNAVAILABLE", message);
}
