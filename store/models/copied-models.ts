/**
 * Folders of base models that this machine does not have: links to copies of their stored files (blobs/). The copies are bounded
 * and checked where they are made; a folder of links takes no room, and stays.
 *
 * cache/ models/HASH/FILES/NAME/    links; FILES tells the files apart, since one hash of weights may come with other tokenizers
 *        hashes/                    base hashes of these, kept by whoever reads them
 */
import { createHash } from "node:crypto";
import { mkdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { asDiskError } from "../../schema/errors.ts";
import type { BaseModel, WeightsFile } from "../../schema/tables.ts";
import type { Blobs, LocalFile } from "../blobs/blobs.ts";
import type { ModelFiles } from "./model-files.ts";

/** Stays as it is until it is released. */
export interface CopiedModel {
  readonly path: string;
  release(): void;
}

export interface CopiedModels {
  /** Whoever computes base hashes of copied models may keep them here. */
  readonly hashesDir: string;
  /** Bytes that a model may have to be copied. */
  readonly mostBytes: number;
  /**
   * A folder with those files of a base model whose names are wanted; null when nobody has stored it.
   * @throws DATA_CORRUPT, UNAVAILABLE
   */
  use(model: BaseModel, isWanted?: (name: string) => boolean): Promise<CopiedModel | null>;
}

export function copiedModelsOf(
  files: ModelFiles,
  blobs: Blobs,
  { cacheDir, cacheBytes }: { readonly cacheDir: string; readonly cacheBytes: number },
): CopiedModels {
  return {
    hashesDir: join(cacheDir, "hashes"),
    mostBytes: cacheBytes,
    async use(model, isWanted = () => true) {
      const stored = await files.of(model.id);
      if (!stored) return null;
      const wanted = stored.filter(({ name }) => isWanted(name));
      const path = join(cacheDir, "models", model.hash, digestOf(wanted), model.name);
      const used: LocalFile[] = [];
      const release = () => used.forEach((file) => file.release());
      try {
        await mkdir(path, { recursive: true });
        for (const { name, sha256 } of wanted) {
          const file = await blobs.local(sha256);
          used.push(file);
          await linkTo(file.path, join(path, name));
        }
      } catch (error) {
        release();
        throw asDiskError(error, `The cache folder ${cacheDir}`);
      }
      return { path, release };
    },
  };
}

function digestOf(files: readonly WeightsFile[]): string {
  const text = files.map(({ name, sha256 }) => `${name} ${sha256}`).join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Several processes may do this at once. */
async function linkTo(target: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => null)) === target) return;
  const made = `${path}.${process.pid}`;
  await rm(made, { force: true });
  await symlink(target, made);
  await rename(made, path);
}
