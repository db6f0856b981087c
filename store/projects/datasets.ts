/** The datasets of a viewer's project, and those that others share with it. */
import { limits } from "../../schema/limits.ts";
import type { Dataset } from "../../schema/tables.ts";
import type { NewDataset } from "../datasets.ts";
import type { Nouns } from "../nouns.ts";
import type { Room } from "./room.ts";

/** Rows that are stored with their dataset: nobody makes one of a file that is there, by its hash. */
export interface NewRows extends Omit<NewDataset, "projectId" | "sha256" | "bytes"> {
  /** Path of checked rows, as JSON Lines. */
  readonly path: string;
}

export interface OwnDatasets extends Omit<Nouns["datasets"], "create"> {
  /** As Datasets.create. @throws also PAYLOAD_TOO_LARGE, UNAVAILABLE */
  create(rows: NewRows): Promise<Dataset>;
}

export function ownDatasetsOf({ nouns, sight, viewer: { projectId }, may }: Room): OwnDatasets {
  const { datasets, blobs } = nouns;
  return {
    async create({ path, ...dataset }) {
      may("write");
      const blob = await blobs.put(path, { maxBytes: limits.datasetBytes });
      return datasets.create({ ...dataset, ...blob, projectId });
    },
    async ofKey(key) {
      may("write");
      return datasets.ofKey(key, projectId);
    },
    async get(id) {
      may("read");
      return sight.dataset(await datasets.get(id));
    },
    async byIds(ids) {
      may("read");
      return sight.datasets(await datasets.byIds(ids));
    },
    async list(page) {
      may("read");
      return datasets.list({ ...page, projectId });
    },
    async count(filter) {
      may("read");
      return datasets.count({ ...filter, projectId });
    },
    async uses(ids) {
      may("read");
      return datasets.uses(ids, projectId);
    },
    async delete(id) {
      may("write");
      return (await sight.owns("DATASET", id)) && datasets.delete(id);
    },
  };
}
