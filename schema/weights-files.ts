/** The stored files of a checkpoint's weights. */
import type { Checkpoint, WeightsFile } from "./tables.ts";

/** The one file that holds all weights; null when there are none, or shards. */
export function singleFile(checkpoint: Checkpoint): WeightsFile | null {
  const [first, ...others] = filesOf(checkpoint).filter(({ name }) => name.endsWith(".safetensors"));
  return first && others.length === 0 ? first : null;
}

/** The stored files of a checkpoint. Rows written before there were shards have one blob. */
export function filesOf({
  weightsStatus,
  weightsFiles,
  weightsBlob,
  weightsBytes,
}: Checkpoint): readonly WeightsFile[] {
  if (weightsStatus !== "STORED") return [];
  if (weightsFiles) return weightsFiles;
  return weightsBlob === null ? [] : [{ name: "model.safetensors", sha256: weightsBlob, bytes: weightsBytes ?? 0 }];
}
