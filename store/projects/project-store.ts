/**
 * The store of one viewer: what its project has, and nothing else. Whoever acts for a client has no other store, so no resolver
 * can forget a check. What belongs to another project does not exist here: it is null, left out, or NOT_FOUND, in the words for
 * ids that never were.
 *
 * - Runs, datasets, completions, evaluations and aliases belong to a project; a checkpoint to its run's.
 * - A shared dataset or checkpoint is visible too, without its run.
 * - Base models, found models and workers are everybody's; which jobs workers hold and which models they keep warm is not.
 *
 * Every call also needs a scope of the key: see schema/projects.ts.
 */
import { SteplogError } from "../../schema/errors.ts";
import { type Scope, type Viewer, isOperator } from "../../schema/projects.ts";
import type { Nouns } from "../nouns.ts";
import { type Actor, actingAs } from "../audit/actor.ts";
import { type AuditReading, auditReadingOf } from "./audit.ts";
import type { Database } from "../postgres/database.ts";
import { translated } from "../postgres/failures.ts";
import type { LiveWorker } from "../queue/workers.ts";
import { aliasesOf } from "../serving/aliases.ts";
import { modelsOf } from "../serving/models.ts";
import type { Target } from "../serving/create.ts";
import { type Administration, administrationOf } from "./administration.ts";
import { type Sight, notThere, sightOf } from "./sight.ts";
import { type Accounts, accountsOf } from "./accounts.ts";
import { guardedRows } from "./guarded-rows.ts";
import { ownExpiriesOf } from "./expiries.ts";
import { type Finding, findingOf } from "./find.ts";
import { ownWebhooksOf } from "./webhooks.ts";

export interface ProjectStore extends Pick<
  Nouns,
  | "rowChecks"
  | "speeds"
  | "blobs"
  | "copiedModels"
  | "datasets"
  | "fineTunes"
  | "checkpoints"
  | "aliases"
  | "evaluations"
  | "exports"
  | "models"
  | "feed"
  | "webhooks"
  | "expiries"
> {
  readonly viewer: Viewer;
  readonly administration: Administration;
  readonly baseModels: Omit<Nouns["baseModels"], "register" | "unregister">;
  readonly foundModels: Pick<Nouns["foundModels"], "list" | "get" | "requestRegistration">;
  readonly completions: Omit<Nouns["completions"], "attend" | "forget">;
  readonly workers: Pick<Nouns["workers"], "list">;
  readonly accounts: Accounts;
  readonly audit: AuditReading;
  readonly finding: Finding;
  ping(): Promise<void>;
}

interface Parts {
  readonly nouns: Nouns;
  readonly database: Database;
  readonly viewer: Viewer;
  readonly ping: () => Promise<void>;
  /** Who does, in the audit log, what is done by this store. */
  readonly actor: Actor;
}

/** Made for each request: it remembers what it found to be the project's. */
export function projectStoreOf({ nouns, database, viewer, ping, actor }: Parts): ProjectStore {
  const room = {
    nouns,
    sight: sightOf(database, viewer.projectId),
    viewer,
    may: (scope: Scope) => check(viewer, scope),
  };
  const { rowChecks, speeds, blobs, copiedModels, projects, keys, baseModels } = nouns;
  const store: ProjectStore = {
    viewer,
    ping,
    rowChecks,
    speeds,
    blobs,
    copiedModels,
    baseModels: ownBaseModelsOf(room),
    administration: administrationOf({ ...room, database, blobs, projects, keys, baseModels }),
    foundModels: foundModelsOf(room),
    datasets: datasetsOf(room),
    fineTunes: fineTunesOf(room),
    checkpoints: checkpointsOf(room),
    completions: completionsOf(room),
    aliases: ownAliasesOf(room, database),
    evaluations: evaluationsOf(room),
    exports: exportsOf(room),
    workers: { list: async () => Promise.all((await nouns.workers.list()).map((one) => visibleWorker(room, one))) },
    models: translated(modelsOf(database, viewer.projectId)),
    accounts: translated(accountsOf({ ...room, database })),
    feed: feedOf(room),
    expiries: ownExpiriesOf(room),
    webhooks: ownWebhooksOf({ database, projectId: viewer.projectId, may: room.may }),
    audit: translated(auditReadingOf({ database, viewer, may: room.may })),
    finding: ownFindingOf(room, database),
  };
  return actingAs(store, actor);
}

interface Room {
  readonly nouns: Nouns;
  readonly sight: Sight;
  readonly viewer: Viewer;
  /** @throws FORBIDDEN */
  readonly may: (scope: Scope) => void;
}

function check({ key, scopes }: Viewer, scope: Scope): void {
  const implied = scope === "read" && (scopes.has("write") || scopes.has("train") || scopes.has("admin"));
  if (scopes.has(scope) || implied) return;
  const has = [...scopes].join(", ") || "none";
  throw new SteplogError(
    "FORBIDDEN",
    `The API key ${JSON.stringify(key?.name ?? "")} has the scopes ${has}, and this needs ${scope}. Use a key that has it.`,
  );
}

function ownFindingOf({ viewer: { projectId }, may }: Room, database: Database): Finding {
  const finding = translated(findingOf(database, projectId));
  return {
    async find(kind, text, limit) {
      may("read");
      return finding.find(kind, text, limit);
    },
  };
}

function foundModelsOf({ nouns: { foundModels }, may }: Room): ProjectStore["foundModels"] {
  return {
    list: (limit) => foundModels.list(limit),
    get: (name) => foundModels.get(name),
    async requestRegistration(name) {
      may("write");
      return foundModels.requestRegistration(name);
    },
  };
}

function ownBaseModelsOf({ nouns: { baseModels }, viewer: { projectId }, may }: Room): ProjectStore["baseModels"] {
  return {
    ...baseModels,
    async uses(ids) {
      may("read");
      return baseModels.uses(ids, projectId);
    },
  };
}

function datasetsOf({ nouns: { datasets }, sight, viewer: { projectId }, may }: Room): Nouns["datasets"] {
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

function fineTunesOf({ nouns: { fineTunes }, sight, viewer: { projectId }, may }: Room): Nouns["fineTunes"] {
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
    chart: (id, options) => read(id, () => fineTunes.chart(id, options), []),
    lastPairs: (id, count) => read(id, () => fineTunes.lastPairs(id, count), []),
    evaluations: (id) => read(id, () => fineTunes.evaluations(id), []),
    events: (id, range) => read(id, () => fineTunes.events(id, range), []),
  };
}

/** Whoever may infer may find checkpoints: they are models. */
function checkpointsOf({ nouns: { checkpoints }, sight, may }: Room): Nouns["checkpoints"] {
  return {
    get: async (id) => sight.checkpoint(await checkpoints.get(id)),
    byIds: async (ids) => sight.checkpoints(await checkpoints.byIds(ids)),
    async list(fineTuneId, page) {
      may("read");
      return (await sight.run(fineTuneId)) ? checkpoints.list(fineTuneId, page) : [];
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
      return checkpoints.requestWeights(id, keep);
    },
    async useWeights(id) {
      if (await sight.hasCheckpoint(id)) await checkpoints.useWeights(id);
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

function completionsOf({ nouns: { completions }, sight, viewer, may }: Room): ProjectStore["completions"] {
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
    waitingReason: async (id) => ((await mine(id)) ? completions.waitingReason(id) : null),
    queuePosition: async (id) => ((await mine(id)) ? completions.queuePosition(id) : null),
  };
}

async function requireTarget(sight: Sight, { checkpointId }: Target): Promise<void> {
  if (checkpointId !== null) await sight.requireCheckpoint(checkpointId);
}

function ownAliasesOf({ sight, viewer: { projectId }, may }: Room, database: Database): Nouns["aliases"] {
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

function evaluationsOf({ nouns: { evaluations }, sight, viewer: { projectId }, may }: Room): Nouns["evaluations"] {
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
    async listOfRun(run, page) {
      may("read");
      return (await sight.run(run.id)) ? evaluations.listOfRun(run, { ...page, projectId }) : [];
    },
    async listOfDataset(id, page) {
      may("read");
      return evaluations.listOfDataset(id, { ...page, projectId });
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

function exportsOf({ nouns: { exports }, sight, may }: Room): Nouns["exports"] {
  return {
    async request(id, form, keep) {
      may("train");
      await sight.requireCheckpoint(id);
      return exports.request(id, form, keep);
    },
    async used(one) {
      if (await sight.hasCheckpoint(one.checkpointId)) await exports.used(one);
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

function feedOf({ nouns: { feed, completions }, sight, may }: Room): Nouns["feed"] {
  const ofRun = async (id: string) => {
    may("read");
    await sight.requireRun(id);
  };
  return {
    steps: (id, options) =>
      guardedRows(
        () => ofRun(id),
        () => feed.steps(id, options),
      ),
    status: (id, options) =>
      guardedRows(
        () => ofRun(id),
        () => feed.status(id, options),
      ),
    events: (id, options) =>
      guardedRows(
        () => ofRun(id),
        () => feed.events(id, options),
      ),
    pieces: (id, options) => {
      const mine = async () => {
        if (!sight.own(await completions.get(id))) throw notThere("completion", id);
      };
      return guardedRows(mine, () => feed.pieces(id, options));
    },
  };
}

/** A worker serves all projects: others' jobs and models are none of this one's business. */
async function visibleWorker({ sight, viewer }: Room, worker: LiveWorker): Promise<LiveWorker> {
  if (isOperator(viewer)) return worker;
  const { job, serving } = worker;
  const isMine = job?.kind === "FINE_TUNE" && (await sight.run(job.subject));
  return { ...worker, job: isMine ? job : null, serving: serving && { ...serving, warm: [] } };
}
