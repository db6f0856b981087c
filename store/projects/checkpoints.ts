/** The checkpoints of a viewer's project and those that others share with it; and what is made of their weights. */
import type { Nouns } from "../nouns.ts";
import { lent } from "./lent.ts";
import type { Room } from "./room.ts";
import { notThere } from "./sight.ts";

/** Whoever may infer may find checkpoints: they are models. */
export function ownCheckpointsOf({ nouns: { checkpoints }, sight, may }: Room): Nouns["checkpoints"] {
  return {
    get: async (id) => sight.checkpoint(await checkpoints.get(id)),
    byIds: async (ids) => sight.checkpoints(await checkpoints.byIds(ids)),
    async list(fineTuneId, page) {
      may("read");
      return (await sight.run(fineTuneId)) ? checkpoints.list(fineTuneId, page) : [];
    },
    async count(fineTuneId) {
      may("read");
      return (await sight.run(fineTuneId)) ? checkpoints.count(fineTuneId) : 0;
    },
    async lastUpTo(fineTuneId, step) {
      return (await sight.run(fineTuneId)) ? checkpoints.lastUpTo(fineTuneId, step) : null;
    },
    runOf: async (one) => ((await sight.checkpoint(one)) ? checkpoints.runOf(one) : null),
    async logParts(one) {
      may("read");
      return (await sight.checkpoint(one)) ? checkpoints.logParts(one) : null;
    },
    async requestWeights(id, keep) {
      may("train");
      await sight.requireCheckpoint(id);
      if (await sight.owns("CHECKPOINT", id)) return checkpoints.requestWeights(id, keep);
      const there = await checkpoints.get(id);
      return lent(there, there?.weightsStatus, keep);
    },
    async useWeights(id) {
      if (await sight.owns("CHECKPOINT", id)) await checkpoints.useWeights(id);
    },
    async delete(id) {
      may("train");
      return (await sight.owns("CHECKPOINT", id)) && checkpoints.delete(id);
    },
    async deleteWeights(id) {
      may("train");
      if (!(await sight.owns("CHECKPOINT", id))) throw notThere("checkpoint", id);
      return checkpoints.deleteWeights(id);
    },
    async waitingReason(id) {
      may("read");
      return (await sight.hasCheckpoint(id)) ? checkpoints.waitingReason(id) : null;
    },
  };
}

export function ownExportsOf({ nouns: { exports }, sight, may }: Room): Nouns["exports"] {
  return {
    async request(id, form, keep) {
      may("train");
      await sight.requireCheckpoint(id);
      if (await sight.owns("CHECKPOINT", id)) return exports.request(id, form, keep);
      const there = await exports.get(id, form);
      return lent(there, there?.status, keep);
    },
    async used(one) {
      if (await sight.owns("CHECKPOINT", one.checkpointId)) await exports.used(one);
    },
    async get(id, form) {
      may("read");
      return (await sight.hasCheckpoint(id)) ? exports.get(id, form) : null;
    },
    async list(id) {
      may("read");
      return (await sight.hasCheckpoint(id)) ? exports.list(id) : [];
    },
    async waitingReason(one) {
      may("read");
      return (await sight.hasCheckpoint(one.checkpointId)) ? exports.waitingReason(one) : null;
    },
  };
}
