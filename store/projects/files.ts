/**
 * The files of a viewer's datasets and checkpoints, and of those that others share with it. None is found by its hash: what a
 * client names is a row, and the row names the file.
 */
import type { Readable } from "node:stream";
import { SteplogError } from "../../schema/errors.ts";
import type { Scope } from "../../schema/projects.ts";
import type { WeightsFile } from "../../schema/tables.ts";
import { filesOf } from "../../schema/weights-files.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import type { Blobs, ByteRange, LocalFile, StoredBlob } from "../blobs/blobs.ts";
import type { Nouns } from "../nouns.ts";
import { notThere } from "./sight.ts";

export interface OwnFile extends StoredBlob {
  /** As Blobs.open. @throws NOT_FOUND, UNAVAILABLE; while it is read DATA_CORRUPT and UNAVAILABLE */
  open(range?: ByteRange): Promise<Readable>;
  /** As Blobs.local. @throws DATA_CORRUPT, UNAVAILABLE */
  local(): Promise<LocalFile>;
  /** As Blobs.link. */
  link(as: { readonly disposition: string }): Promise<string | null>;
}

export interface OwnFiles {
  /** The rows of a dataset, also of one that is deleted while they are still there. @throws NOT_FOUND, FORBIDDEN */
  rows(datasetId: string): Promise<OwnFile>;
  /** A file of a checkpoint's weights. @throws NOT_FOUND, FORBIDDEN */
  weights(checkpointId: string, name: string): Promise<OwnFile>;
  /** A file of a checkpoint's weights in another form. @throws NOT_FOUND, FORBIDDEN */
  exported(checkpointId: string, form: WeightsForm, name: string): Promise<OwnFile>;
}

/** What the viewer sees of the rows that name files. */
interface Seen {
  readonly datasets: Pick<Nouns["datasets"], "byIds">;
  readonly checkpoints: Pick<Nouns["checkpoints"], "get">;
  readonly exports: Pick<Nouns["exports"], "get">;
}

export function ownFilesOf(
  blobs: Blobs,
  { datasets, checkpoints, exports }: Seen,
  may: (scope: Scope) => void,
): OwnFiles {
  const fileOf = ({ sha256, bytes }: StoredBlob): OwnFile => ({
    sha256,
    bytes,
    open: (range) => blobs.open(sha256, range),
    local: () => blobs.local(sha256),
    link: (as) => blobs.link(sha256, as),
  });
  return {
    async rows(id) {
      const [dataset] = await datasets.byIds([id]);
      if (!dataset) throw notThere("dataset", id);
      return fileOf(dataset);
    },
    async weights(id, name) {
      may("read");
      const checkpoint = await checkpoints.get(id);
      return fileOf(named(checkpoint && filesOf(checkpoint), name));
    },
    async exported(id, form, name) {
      const found = await exports.get(id, form);
      return fileOf(named(found?.files ?? null, name));
    },
  };
}

function named(files: readonly WeightsFile[] | null, name: string): WeightsFile {
  const file = files?.find((known) => known.name === name);
  if (file) return file;
  throw new SteplogError("NOT_FOUND", `There is no file ${JSON.stringify(name)}.`);
}
