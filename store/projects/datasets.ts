/** The datasets of a viewer's project, and those that others share with it. */
import type { Nouns } from "../nouns.ts";
import type { Room } from "./room.ts";

export function ownDatasetsOf({ nouns: { datasets }, sight, viewer: { projectId }, may }: Room): Nouns["datasets"] {
  return {
    async create(dataset) {
      may("write");
      return datasets.create({ ...dataset, projectId });
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
