/** Tokens as the tables have them: four bytes each, little-endian. */

export function packTokens(tokens: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(4 * tokens.length);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < tokens.length; index++) view.setInt32(4 * index, tokens[index] ?? 0, true);
  return bytes;
}

export function unpackTokens(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from({ length: bytes.length / 4 }, (_, index) => view.getInt32(4 * index, true));
}
