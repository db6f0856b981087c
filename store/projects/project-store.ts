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
import { modelsOf } from "../serving/models.ts";
import { type Accounts, accountsOf } from "./accounts.ts";
import { type Administration, administrationOf } from "./administration.ts";
import { type OwnCompletions, ownAliasesOf, ownCompletionsOf, ownEvaluationsOf } from "./answers.ts";
import { ownCheckpointsOf, ownExportsOf } from "./checkpoints.ts";
import { type OwnDatasets, ownDatasetsOf } from "./datasets.ts";
import { ownExpiriesOf } from "./expiries.ts";
import { type OwnFiles, ownFilesOf } from "./files.ts";
import { type Finding, findingOf } from "./find.ts";
import { ownFineTunesOf } from "./fine-tunes.ts";
import { guardedRows } from "./guarded-rows.ts";
import { type OwnDownloads, ownDownloadsOf } from "./model-downloads.ts";
import type { Room } from "./room.ts";
import { notThere, sightOf } from "./sight.ts";
import { ownSweepsOf } from "./sweeps.ts";
import { ownWebhooksOf } from "./webhooks.ts";

export interface ProjectStore extends Pick<
  Nouns,
  | "rowChecks"
  | "speeds"
  | "copiedModels"
  | "fineTunes"
  | "sweeps"
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
  readonly datasets: OwnDatasets;
  readonly files: OwnFiles;
  readonly administration: Administration;
  readonly baseModels: Omit<Nouns["baseModels"], "register" | "unregister">;
  readonly foundModels: Pick<Nouns["foundModels"], "list" | "get" | "requestRegistration">;
  readonly modelDownloads: OwnDownloads;
  readonly completions: OwnCompletions;
  readonly workers: Pick<Nouns["workers"], "list">;
  readonly accounts: Accounts;
  readonly audit: AuditReading;
  readonly finding: Finding;
  /** For what is done outside the store, such as taking in an upload. @throws FORBIDDEN */
  demand(scope: Scope): void;
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
  const room: Room = {
    nouns,
    sight: sightOf(database, viewer.projectId),
    viewer,
    may: (scope: Scope) => check(viewer, scope),
  };
  const { rowChecks, speeds, blobs, copiedModels, projects, keys, baseModels } = nouns;
  const seen = {
    datasets: ownDatasetsOf(room),
    checkpoints: ownCheckpointsOf(room),
    exports: ownExportsOf(room),
  };
  const store: ProjectStore = {
    viewer,
    demand: room.may,
    ping,
    rowChecks,
    speeds,
    copiedModels,
    baseModels: ownBaseModelsOf(room),
    administration: administrationOf({ ...room, database, blobs, projects, keys, baseModels }),
    foundModels: foundModelsOf(room),
    modelDownloads: ownDownloadsOf(room),
    ...seen,
    files: ownFilesOf(blobs, seen, room.may),
    fineTunes: ownFineTunesOf(room),
    sweeps: ownSweepsOf(room),
    completions: ownCompletionsOf(room),
    aliases: ownAliasesOf(room, database),
    evaluations: ownEvaluationsOf(room),
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
