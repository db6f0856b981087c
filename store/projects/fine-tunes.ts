/** The runs of a viewer's project. A run is shared with nobody: only its checkpoints are. */
import type { Nouns } from "../nouns.ts";
import type { Room } from "./room.ts";

export function ownFineTunesOf({ nouns: { fineTunes }, sight, viewer: { projectId }, may }: Room): Nouns["fineTunes"] {
  /** What is read of a run; `otherwise` of one that is not the project's. */
  const read = async <Value>(id: string, one: () => Promise<Value>, otherwise: Value): Promise<Value> => {
    may("read");
    return (await sight.run(id)) ? one() : otherwise;
  };
  return {
    async create(input) {
      may("train");
      await sight.requireDataset(input.datasetId);
      for (const id of [input.validationDatasetId, input.testDatasetId])
        if (id !== null) await sight.requireDataset(id);
      if (input.from) await sight.requireCheckpoint(input.from.checkpointId);
      return fineTunes.create({ ...input, projectId });
    },
    async refuseUsedKey(input) {
      may("train");
      return fineTunes.refuseUsedKey({ ...input, projectId });
    },
    async hasKey(key) {
      may("train");
      return fineTunes.hasKey(key, projectId);
    },
    async get(id) {
      may("read");
      return sight.own(await fineTunes.get(id));
    },
    async byIds(ids) {
      may("read");
      return (await fineTunes.byIds(ids)).map((row) => sight.own(row));
    },
    async list(page) {
      may("read");
      return fineTunes.list({ ...page, projectId });
    },
    async count(query) {
      may("read");
      return fineTunes.count({ ...query, projectId });
    },
    async label(id, labels) {
      may("train");
      await sight.requireRun(id);
      return fineTunes.label(id, labels);
    },
    async cancel(id) {
      may("train");
      await sight.requireRun(id);
      return fineTunes.cancel(id);
    },
    async pause(id) {
      may("train");
      await sight.requireRun(id);
      return fineTunes.pause(id);
    },
    async resume(id) {
      may("train");
      await sight.requireRun(id);
      return fineTunes.resume(id);
    },
    async delete(id, options) {
      may("train");
      return (await sight.run(id)) && fineTunes.delete(id, options);
    },
    waitingReason: (id) => read(id, () => fineTunes.waitingReason(id), null),
    queuePosition: (id) => read(id, () => fineTunes.queuePosition(id), null),
    timeLeft: (id) => read(id, () => fineTunes.timeLeft(id), null),
    log: (id) => read(id, () => fineTunes.log(id), null),
    logPrefix: (id, entries) => read(id, () => fineTunes.logPrefix(id, entries), null),
    logParts: (id, entries) => read(id, () => fineTunes.logParts(id, entries), null),
    losses: (id) => read(id, () => fineTunes.losses(id), new Float64Array()),
    trainedSeconds: (id) => read(id, () => fineTunes.trainedSeconds(id), 0),
    metrics: (id, range) => read(id, () => fineTunes.metrics(id, range), []),
    async charts(requests) {
      may("read");
      const mine = await sight.runs(requests.map(({ id }) => id));
      const own = requests.filter(({ id }) => mine.has(id));
      const found = new Map((await fineTunes.charts(own)).map((points, at) => [own[at], points]));
      return requests.map((request) => found.get(request) ?? []);
    },
    lastPairs: (id, count) => read(id, () => fineTunes.lastPairs(id, count), []),
    evaluations: (id) => read(id, () => fineTunes.evaluations(id), []),
    memory: (id) => read(id, () => fineTunes.memory(id), []),
    events: (id, range) => read(id, () => fineTunes.events(id, range), []),
  };
}
