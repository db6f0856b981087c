/** SentencePiece's normalisation, compiled into a trie: the normalizer Precompiled. */

/**
 * A double-array trie (darts-clone) whose leaves are offsets into a block of zero-terminated texts.
 *
 * @param encoded base64 of the trie's length in bytes (uint32), the trie and the texts
 * @throws if the trie is cut short
 */
export function precompiled(encoded: string): (text: string) => string {
  const bytes = Buffer.from(encoded, "base64");
  const length = bytes.length < 4 ? Infinity : bytes.readUInt32LE(0);
  if (4 + length > bytes.length || length % 4 !== 0) throw new Error("precompiled_charsmap is damaged");
  const trie = Uint32Array.from({ length: length / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  const texts = bytes.subarray(4 + length);
  const replacementOf = (chunk: string) => lookUp(trie, texts, chunk);
  return (text) => Array.from(graphemes.segment(text), ({ segment }) => rewrite(segment, replacementOf)).join("");
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Longer clusters are only looked up character by character. */
const longestCluster = 6;

function rewrite(cluster: string, replacementOf: (chunk: string) => string | null): string {
  const whole = Buffer.byteLength(cluster) < longestCluster ? replacementOf(cluster) : null;
  return whole ?? Array.from(cluster, (char) => replacementOf(char) ?? char).join("");
}

/** The text for the shortest prefix of `chunk` in the trie; null if it has none. */
function lookUp(trie: Uint32Array, texts: Buffer, chunk: string): string | null {
  let node = offsetOf(trie[0] ?? 0);
  for (const byte of Buffer.from(chunk)) {
    if (byte === 0) return null;
    node ^= byte;
    const unit = trie[node];
    if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return null;
    node ^= offsetOf(unit);
    if ((unit >>> 8) & 1) return textAt(texts, (trie[node] ?? 0) & 0x7fffffff);
  }
  return null;
}

const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);

function textAt(texts: Buffer, start: number): string {
  const end = texts.indexOf(0, start);
  return texts.toString("utf8", start, end < 0 ? texts.length : end);
}
