/**
 * Files as a tar and back (POSIX ustar; sizes of 8 GiB and more in base 256, as GNU tar writes them), in pieces. Written here: what
 * is needed is one header, and the library for it brings a dozen packages.
 */
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { ArchiveFile } from "./files.ts";

const blockBytes = 512;

/** @throws UNAVAILABLE when a file has other bytes than it said, because it was deleted meanwhile */
export async function* tarOf(files: AsyncIterable<ArchiveFile>): AsyncGenerator<Uint8Array> {
  for await (const { name, bytes, content } of files) {
    yield headerOf(name, bytes);
    let written = 0;
    for await (const piece of content) {
      written += piece.length;
      if (written > bytes) break;
      yield piece;
    }
    if (written !== bytes) {
      const message = `${name} changed while it was exported: it should have ${bytes} bytes. Export the project again.`;
      throw new SteplogError("UNAVAILABLE", message);
    }
    yield new Uint8Array(paddingOf(bytes));
  }
  yield new Uint8Array(2 * blockBytes);
}

const paddingOf = (bytes: number) => (blockBytes - (bytes % blockBytes)) % blockBytes;

function headerOf(name: string, bytes: number): Uint8Array {
  invariant(/^[\w./-]{1,100}$/u.test(name), `${name} fits into a tar`);
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(name, 0, "latin1");
  octal(0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  if (bytes < 8 ** 11) octal(bytes, 124, 12);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(bytes), 128);
  }
  octal(Math.floor(Date.now() / 1_000), 136, 12);
  block.write("0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** Over the header with spaces in place of the checksum. */
function checksumOf(block: Uint8Array): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

/**
 * The files of a tar, whose content must be read, each before the next.
 * @throws INVALID_ARGUMENT for what is no such tar, or ends too early
 */
export async function* filesOfTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveFile> {
  const pieces = new Pieces(source);
  for (;;) {
    const header = Buffer.from(await pieces.exactly(blockBytes));
    if (header.every((byte) => byte === 0)) return;
    const stored = Number.parseInt(header.toString("latin1", 148, 154), 8);
    if (stored !== checksumOf(header)) throw damaged("a header's checksum is wrong");
    const name = header.toString("latin1", 0, 100).replace(/\0.*$/su, "");
    const isLarge = header[124] === 0x80;
    const bytes = isLarge
      ? Number(header.readBigUInt64BE(128))
      : Number.parseInt(header.toString("latin1", 124, 135), 8);
    if (!isPlainName(name) || !Number.isSafeInteger(bytes))
      throw damaged(`it has a file named ${JSON.stringify(name)}`);
    yield { name, bytes, content: pieces.some(bytes) };
    await pieces.exactly(paddingOf(bytes));
  }
}

/** A file of an export, or of a folder in it: nothing that leads elsewhere. */
export function isPlainName(name: string): boolean {
  return /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)?$/u.test(name);
}

function damaged(why: string): SteplogError {
  return new SteplogError("INVALID_ARGUMENT", `This is not a complete export of a project: ${why}. Export it again.`);
}

/** Bytes of a stream, as many as are asked for. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async exactly(bytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.some(bytes)) parts.push(part);
    return Buffer.concat(parts);
  }

  async *some(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0;) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done === true) throw damaged("it ends too early");
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }
}
