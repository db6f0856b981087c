/**
 * Pictures with a palette of 256 colours, a third of the bytes: a page has few colours besides the edges of its letters, and
 * those become the nearest of the most frequent ones.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const colours = 256;

/** @param png as Chromium writes screenshots: 8 bits of red, green and blue, not interlaced */
export function withPalette(png: Buffer): Buffer {
  const { width, height, pixels } = readPng(png);
  const counts = new Map<number, number>();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const frequent = [...counts].toSorted(([a, one], [b, other]) => other - one || a - b).map(([pixel]) => pixel);
  const palette = frequent.slice(0, colours);
  const places = new Map(frequent.map((pixel, rank) => [pixel, rank < colours ? rank : nearest(palette, pixel)]));
  const rows = Buffer.alloc(height * (width + 1));
  pixels.forEach((pixel, at) => {
    rows[at + Math.floor(at / width) + 1] = places.get(pixel) ?? 0;
  });
  const header = Buffer.from(png.subarray(16, 29));
  header[9] = 3;
  const entries = Buffer.from(palette.flatMap((pixel) => partsOf(pixel)));
  const chunks = [
    ["IHDR", header],
    ["PLTE", entries],
    ["IDAT", deflateSync(rows, { level: 9 })],
    ["IEND", Buffer.alloc(0)],
  ] as const;
  return Buffer.concat([png.subarray(0, 8), ...chunks.map(([type, data]) => chunkOf(type, data))]);
}

const pixelOf = (line: Uint8Array, at: number) =>
  ((line[at] ?? 0) << 16) | ((line[at + 1] ?? 0) << 8) | (line[at + 2] ?? 0);
const partsOf = (pixel: number) => [pixel >> 16, (pixel >> 8) & 255, pixel & 255];

function nearest(palette: readonly number[], pixel: number): number {
  const wanted = partsOf(pixel);
  const distances = palette.map((other) =>
    partsOf(other).reduce((sum, part, at) => sum + (part - (wanted[at] ?? 0)) ** 2, 0),
  );
  return distances.indexOf(Math.min(...distances));
}

function readPng(png: Buffer): { width: number; height: number; pixels: Uint32Array } {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  if (png[24] !== 8 || png[25] !== 2 || png[28] !== 0)
    throw new Error("a screenshot has 8 bits of red, green and blue");
  const rows = inflateSync(Buffer.concat(dataOf(png)));
  const stride = 3 * width;
  const lines: Uint8Array[] = [new Uint8Array(stride)];
  for (let row = 0; row < height; row += 1) {
    const line = rows.subarray(row * (stride + 1), (row + 1) * (stride + 1));
    lines.push(unfiltered(line[0] ?? 0, line.subarray(1), lines[row] ?? new Uint8Array(stride)));
  }
  const pixels = new Uint32Array(width * height);
  for (const [row, line] of lines.slice(1).entries())
    for (let x = 0; x < width; x += 1) pixels[row * width + x] = pixelOf(line, 3 * x);
  return { width, height, pixels };
}

function dataOf(png: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString("latin1", at + 4, at + 8) === "IDAT")
      found.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  return found;
}

/** A row without its filter; the numbers are those of the PNG specification. */
function unfiltered(filter: number, line: Uint8Array, above: Uint8Array): Uint8Array {
  const row = new Uint8Array(line.length);
  for (const [at, byte] of line.entries()) {
    const [left, up, corner] = [row[at - 3] ?? 0, above[at] ?? 0, above[at - 3] ?? 0];
    row[at] = byte + ([0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0);
  }
  return row;
}

function paeth(left: number, up: number, corner: number): number {
  const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function chunkOf(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}
