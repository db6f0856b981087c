/** The digest of a list of tensors, by which a base (base hash) and trained weights (weights digest) are known. */
import { createHash } from "node:crypto";

/**
 * SHA-256 over the lines "name dtype shape sha256(bytes)\n" of the tensors, in the order given, with shapes written like
 * [768,3072]. Hex. `sha256` has the hash of each tensor's bytes, by name; one without an entry is empty.
 */
export function tensorsDigest(
  tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[],
  sha256: ReadonlyMap<string, string>,
): string {
  const lines = createHash("sha256");
  for (const { name, dtype, shape } of tensors) {
    lines.update(`${name} ${dtype} [${shape.join(",")}] ${sha256.get(name) ?? emptyHash}\n`);
  }
  return lines.digest("hex");
}

const emptyHash = createHash("sha256").digest("hex");
