/** What a viewer asks of models, its own and shared ones: completions, evaluations, and the names by which they are called. */
import type { Nouns } from "../nouns.ts";
import type { Database } from "../postgres/database.ts";
import { translated } from "../postgres/failures.ts";
import { aliasesOf } from "../serving/aliases.ts";
import type { Target } from "../serving/create.ts";
import type { Room } from "./room.ts";
import { type Sight, notThere } from "./sight.ts";

/** Whether somebody attends to one is the gateway's to say. */
export type OwnCompletions = Omit<Nouns["completions"], "attend" | "forget">;

export function ownCompletionsOf({ nouns: { completions }, sight, viewer, may }: Room): OwnCompletions {
  const { projectId } = viewer;
  const mine = async (id: string) => sight.own(await completions.get(id)) !== null;
  return {
    async create(input) {
      may("infer");
      await requireTarget(sight, input);
      return completions.create({ ...input, projectId });
    },
    get: async (id) => sight.own(await completions.get(id)),
    byIds: async (ids) => (await completions.byIds(ids)).map((row) => sight.own(row)),
    choices: async (one) => (sight.own(one) ? completions.choices(one) : []),
    async cancel(id) {
      may("infer");
      if (!(await mine(id))) throw notThere("completion", id);
      return completions.cancel(id);
    },
    async delete(id) {
      may("infer");
      return (await mine(id)) && completions.delete(id);
    },
    async discard(id) {
      may("infer");
      return (await mine(id)) && completions.discard(id);
    },
    waitingReason: async (id) => ((await mine(id)) ? completions.waitingReason(id) : null),
    queuePosition: async (id) => ((await mine(id)) ? completions.queuePosition(id) : null),
  };
}

export function ownEvaluationsOf({
  nouns: { evaluations },
  sight,
  viewer: { projectId },
  may,
}: Room): Nouns["evaluations"] {
  const own = async (id: string) => sight.own(await evaluations.get(id));
  return {
    async create(input) {
      may("infer");
      await requireTarget(sight, input);
      await sight.requireDataset(input.datasetId);
      return evaluations.create({ ...input, projectId });
    },
    async get(id) {
      may("read");
      return own(id);
    },
    async byIds(ids) {
      may("read");
      return (await evaluations.byIds(ids)).map((row) => sight.own(row));
    },
    async list(target, page) {
      may("read");
      return evaluations.list(target, { ...page, projectId });
    },
    async count(target) {
      may("read");
      return evaluations.count(target, projectId);
    },
    async listOfRun(run, page) {
      may("read");
      return (await sight.run(run.id)) ? evaluations.listOfRun(run, { ...page, projectId }) : [];
    },
    async countOfRun(run) {
      may("read");
      return (await sight.run(run.id)) ? evaluations.countOfRun(run, projectId) : 0;
    },
    async listOfDataset(id, page) {
      may("read");
      return evaluations.listOfDataset(id, { ...page, projectId });
    },
    async countOfDataset(id) {
      may("read");
      return evaluations.countOfDataset(id, projectId);
    },
    async cancel(id) {
      may("infer");
      if (!(await own(id))) throw notThere("evaluation", id);
      return evaluations.cancel(id);
    },
    async delete(id) {
      may("infer");
      return (await own(id)) !== null && evaluations.delete(id);
    },
    async waitingReason(id) {
      may("read");
      return (await own(id)) ? evaluations.waitingReason(id) : null;
    },
    async queuePosition(id) {
      may("read");
      return (await own(id)) ? evaluations.queuePosition(id) : null;
    },
    async rows(id, page) {
      may("read");
      return (await own(id)) ? evaluations.rows(id, page) : [];
    },
  };
}

export function ownAliasesOf({ sight, viewer: { projectId }, may }: Room, database: Database): Nouns["aliases"] {
  const aliases = translated(aliasesOf(database, projectId));
  return {
    async set(name, target) {
      may("write");
      await requireTarget(sight, target);
      return aliases.set(name, target);
    },
    async rollBack(name) {
      may("write");
      return aliases.rollBack(name);
    },
    async remove(name) {
      may("write");
      return aliases.remove(name);
    },
    resolve: (name) => aliases.resolve(name),
    list: (page) => aliases.list(page),
    ofCheckpoints: (ids) => aliases.ofCheckpoints(ids),
  };
}

async function requireTarget(sight: Sight, { checkpointId }: Target): Promise<void> {
  if (checkpointId !== null) await sight.requireCheckpoint(checkpointId);
}
