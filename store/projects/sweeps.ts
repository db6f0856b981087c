/** The sweeps of a project, as one viewer may see and make them: as its runs. */
import type { NewFineTune } from "../runs/create.ts";
import type { Sweeps } from "../runs/sweeps.ts";
import type { Room } from "./room.ts";
import { type Sight, notThere } from "./sight.ts";

export function ownSweepsOf({ nouns: { sweeps }, sight, viewer: { projectId }, may }: Room): Sweeps {
  const mine = async (id: string) => sight.own(await sweeps.get(id));
  const read = async <Value>(id: string, one: () => Promise<Value>, otherwise: Value): Promise<Value> => {
    may("read");
    return (await mine(id)) ? one() : otherwise;
  };
  return {
    async create(input) {
      may("train");
      await requireInputs(sight, input.runs);
      return sweeps.create({ ...input, projectId });
    },
    async hasKey(key) {
      may("train");
      return sweeps.hasKey(key, projectId);
    },
    get: (id) => read(id, () => sweeps.get(id), null),
    async byIds(ids) {
      may("read");
      return (await sweeps.byIds(ids)).map((row) => sight.own(row));
    },
    async list(page) {
      may("read");
      return sweeps.list({ ...page, projectId });
    },
    async count() {
      may("read");
      return sweeps.count(projectId);
    },
    runs: (id) => read(id, () => sweeps.runs(id), []),
    counts: (id) => read(id, () => sweeps.counts(id), new Map()),
    best: (id) => read(id, () => sweeps.best(id), null),
    async cancel(id) {
      may("train");
      if (!(await mine(id))) throw notThere("sweep", id);
      return sweeps.cancel(id);
    },
    async delete(id, options) {
      may("train");
      return (await mine(id)) !== null && sweeps.delete(id, options);
    },
  };
}

/** Runs of a sweep share what they are made from. @throws NOT_FOUND */
async function requireInputs(sight: Sight, runs: readonly NewFineTune[]): Promise<void> {
  const datasets = new Set(
    runs.flatMap((run) => [run.datasetId, run.validationDatasetId, run.testDatasetId].filter((id) => id !== null)),
  );
  for (const id of datasets) await sight.requireDataset(id);
  const checkpoints = new Set(runs.flatMap(({ from }) => (from ? [from.checkpointId] : [])));
  for (const id of checkpoints) await sight.requireCheckpoint(id);
}
