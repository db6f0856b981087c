/** The lines of a file, as a stream. */
import { limits } from "../schema/limits.ts";
import { invalid } from "./issues.ts";

/** `line` starts at 1 and counts blank lines, like an editor. */
export interface Line {
  readonly line: number;
  /** Null for a line that is not UTF-8. */
  readonly text: string | null;
}

/** The lines that are not blank. @throws DATASET_INVALID for a line over the limit, before it fills the memory */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let line = 0;
  for await (const bytes of splitLines(source)) {
    line += 1;
    const text = decode(bytes, line === 1);
    if (text === null && line === 1 && isUtf16(bytes)) {
      const message = "the file is UTF-16. Save it as UTF-8";
      throw invalid(`The dataset cannot be read: ${message}.`, [{ line, message }]);
    }
    if (text?.trim() !== "") yield { line, text };
  }
}

/** Some editors write a byte order mark, so one is allowed at the start. */
function decode(bytes: Uint8Array, first: boolean): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: !first }).decode(bytes);
  } catch {
    return null;
  }
}

/** By its byte order mark. */
function isUtf16(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

/** Splits at line feeds only (node:readline would also split at U+2028, which JSON strings may contain). */
async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let line = 1;
  const keep = (part: Uint8Array) => {
    parts.push(part);
    length += part.length;
    if (length > limits.datasetLineBytes) {
      throw invalid(`Line ${line} is longer than ${limits.datasetLineBytes} bytes.`, [{ line, message: "too long" }]);
    }
  };
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
      line += 1;
      start = end + 1;
    }
    if (start < chunk.length) keep(chunk.slice(start));
  }
  if (length > 0) yield Buffer.concat(parts);
}
