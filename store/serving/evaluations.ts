/**
 * Evaluations of a base or a checkpoint on any dataset. Each has a job of kind EVALUATE: QUEUED while that waits, RUNNING once a
 * worker has claimed it, then SUCCEEDED, FAILED or CANCELLED, and the job is gone. The states and moves are those of completions.
 */
import { createHash } from "node:crypto";
import { type SQL, and, eq, gt, inArray, isNull, sql } from "drizzle-orm";
import type { PgUpdateSetSource } from "drizzle-orm/pg-core";
import { type CompletionStatus, completionTransitions, hasEnded } from "../../schema/completion.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { Expiry } from "../../schema/expiry.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import {
  type EvaluatedRow,
  type EvaluationRules,
  type Measured,
  evaluationRulesSchema,
} from "../../schema/model-evaluation.ts";
import { type ModelEvaluation, evaluatedRows, modelEvaluations } from "../../schema/serving-tables.ts";
import { canonicalJson } from "../../schema/step-log.ts";
import { type FineTune, checkpoints } from "../../schema/tables.ts";
import { dropUnnamed } from "../ends/datasets.ts";
import { expiryOf } from "../ends/expiry.ts";
import { type Life, moveRow } from "../moves.ts";
import { type Page, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, type Transaction, inOrderOf, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { requireDataset } from "../postgres/required.ts";
import { storedKey } from "../projects/names.ts";
import { quotasOf, refuseUsedUp } from "../projects/quotas.ts";
import { addUsage } from "../projects/usage.ts";
import type { JobHooks } from "../queue/claimers.ts";
import { addJob, finishJob, lockJobAbout, withdrawJob } from "../queue/jobs.ts";
import { type Lease, lockJob } from "../queue/leases.ts";
import { queuePosition, whyJobWaits } from "../queue/waiting.ts";
import { type Target, needsOf, requireTarget } from "./create.ts";
import { audit } from "../audit/audit.ts";
import { announceEvaluation } from "../webhooks/announce.ts";
import type { CompletionFailure } from "./lifecycle.ts";

export interface NewEvaluation extends Target {
  /** The default one when left out. */
  readonly projectId?: string;
  readonly idempotencyKey: string | null;
  readonly datasetId: string;
  readonly labelWords: readonly string[];
  readonly calibrationPrompt: string | null;
  readonly settings: EvaluationRules;
  /** When it ends; as the project says when left out. */
  readonly expiry?: Expiry | null;
}

type OwnPage = Page & { readonly projectId?: string | undefined };

export interface EvaluatedPage {
  /** -1 starts from the first row. */
  readonly after: number;
  readonly limit: number;
  /** Only those that were answered rightly, or wrongly. */
  readonly right?: boolean | undefined;
}

export interface Evaluations {
  /** @throws NOT_FOUND; CONFLICT for a key that was used with another input; QUOTA_EXCEEDED */
  create(input: NewEvaluation): Promise<{ readonly evaluation: ModelEvaluation; readonly created: boolean }>;
  get(id: string): Promise<ModelEvaluation | null>;
  byIds(ids: readonly string[]): Promise<(ModelEvaluation | null)[]>;
  /** Those of a base itself, or of a checkpoint, or with null of any model, newest first; by all projects, or by one. */
  list(target: Target | null, page: OwnPage): Promise<ModelEvaluation[]>;
  count(target: Target | null, projectId?: string): Promise<number>;
  /** Those of all checkpoints of a run, newest first; by all projects, or by one. */
  listOfRun(run: Pick<FineTune, "id" | "baseModelId">, page: OwnPage): Promise<ModelEvaluation[]>;
  countOfRun(run: Pick<FineTune, "id" | "baseModelId">, projectId?: string): Promise<number>;
  /** Those on a dataset, newest first; by all projects, or by one. */
  listOfDataset(datasetId: string, page: OwnPage): Promise<ModelEvaluation[]>;
  countOfDataset(datasetId: string, projectId?: string): Promise<number>;
  /** One that nobody has begun ends at once, a RUNNING one soon, one that has ended stays. @throws NOT_FOUND */
  cancel(id: string): Promise<ModelEvaluation>;
  /** Deletes it, ending it first. False if there is none. */
  delete(id: string): Promise<boolean>;
  /** What came of its first rows, in their order, after a place in the dataset. */
  rows(id: string, page: EvaluatedPage): Promise<EvaluatedRow[]>;
  /** Why no worker is evaluating, for people; null while one is, or can start at once, and after the end. */
  waitingReason(id: string): Promise<string | null>;
  /** How many jobs workers would claim before it; 0 when it is next. Null while it does not wait for a worker. */
  queuePosition(id: string): Promise<number | null>;
}

export type EvaluationEnd =
  /** `rows`: what came of the first ones, if that is to be kept. */
  | { readonly status: "SUCCEEDED"; readonly measured: Measured; readonly rows?: readonly EvaluatedRow[] }
  | { readonly status: "CANCELLED" }
  | ({ readonly status: "FAILED" } & CompletionFailure);

export interface EvaluationResults {
  /** Counts tokens that the model wrote for an EVALUATE job, also if the job fails. */
  countGenerated(job: Lease, tokens: number): Promise<void>;
  /** Stores the outcome of an EVALUATE job and ends it. */
  finishEvaluation(job: Lease, end: EvaluationEnd): Promise<void>;
}

const keys = { table: modelEvaluations, sort: modelEvaluations.createdAt, id: modelEvaluations.id };

export function evaluationsOf(database: Database): Evaluations {
  const byIds = (ids: readonly string[]) =>
    inOrderOf(ids, (wanted) => database.select().from(modelEvaluations).where(inArray(modelEvaluations.id, wanted)));
  return {
    byIds,
    get: async (id) => (await byIds([id]))[0] ?? null,
    create: (input) => database.transaction((tx) => create(tx, input)),
    cancel: (id) => database.transaction((tx) => cancel(tx, id)),
    delete: (id) => database.transaction((tx) => remove(tx, id)),
    waitingReason: (id) => whyJobWaits(database, "EVALUATE", id),
    queuePosition: (id) => queuePosition(database, "EVALUATE", id),
    rows: (id, page) => rowsOf(database, id, page),
    list: (target, page) => list(database, of(target), page),
    count: (target, projectId) => counted(database, of(target), projectId),
    listOfDataset: (id, page) => list(database, eq(modelEvaluations.datasetId, id), page),
    countOfDataset: (id, projectId) => counted(database, eq(modelEvaluations.datasetId, id), projectId),
    listOfRun: (run, page) => list(database, ofRun(database, run), page),
    countOfRun: (run, projectId) => counted(database, ofRun(database, run), projectId),
  };
}

export function evaluationResultsOf(database: Database): EvaluationResults {
  return {
    countGenerated: (lease, tokens) =>
      database.transaction(async (tx) => {
        const { projectId } = await lockJob(tx, lease);
        await addUsage(tx, [{ projectId, kind: "TOKENS_GENERATED", amount: tokens }]);
      }),
    finishEvaluation: (lease, end) => database.transaction((tx) => finish(tx, lease, end)),
  };
}

async function list(
  database: Database,
  ofWhat: SQL | undefined,
  { projectId, ...page }: OwnPage,
): Promise<ModelEvaluation[]> {
  const of = and(ofWhat, inProject(modelEvaluations, projectId));
  const { where, order } = await pageOf(database, { ...keys, of }, page);
  return database
    .select()
    .from(modelEvaluations)
    .where(and(...where))
    .orderBy(...order)
    .limit(page.limit);
}

function counted(database: Database, ofWhat: SQL | undefined, projectId: string | undefined): Promise<number> {
  return countOf(database, modelEvaluations, and(ofWhat, inProject(modelEvaluations, projectId)));
}

async function rowsOf(database: Database, id: string, page: EvaluatedPage): Promise<EvaluatedRow[]> {
  if (!isUuid(id)) return [];
  const { evaluationId, row, right } = evaluatedRows;
  const wanted = page.right === undefined ? undefined : eq(right, page.right);
  return database
    .select()
    .from(evaluatedRows)
    .where(and(eq(evaluationId, id), gt(row, page.after), wanted))
    .orderBy(row)
    .limit(page.limit);
}

/** The index begins with the base model. */
function of(target: Target | null): SQL | undefined {
  if (!target) return undefined;
  const { baseModelId, checkpointId: id } = target;
  const { baseModelId: base, checkpointId } = modelEvaluations;
  return and(eq(base, baseModelId), id === null ? isNull(checkpointId) : eq(checkpointId, id));
}

function ofRun(database: Database, { id, baseModelId }: Pick<FineTune, "id" | "baseModelId">): SQL | undefined {
  const its = database.select({ id: checkpoints.id }).from(checkpoints).where(eq(checkpoints.fineTuneId, id));
  return and(eq(modelEvaluations.baseModelId, baseModelId), inArray(modelEvaluations.checkpointId, its));
}

// Create

async function create(tx: Transaction, input: NewEvaluation) {
  await requireTarget(tx, input);
  await requireDataset(tx, input.datasetId);
  const inputHash = hashOf(input);
  const [evaluation] = await tx
    .insert(modelEvaluations)
    .values({ ...input, inputHash, idempotencyKey: keyOf(input), expiresAt: endOf(input) })
    .onConflictDoNothing({ target: modelEvaluations.idempotencyKey })
    .returning();
  if (!evaluation) return { evaluation: await firstOfKey(tx, input, inputHash), created: false };
  const { id: subject, projectId } = evaluation;
  await refuseUsedUp(tx, projectId, await quotasOf(tx, projectId));
  const needs = { ...(await needsOf(tx, input)), precisions: [input.settings.precision] };
  await addJob(tx, { kind: "EVALUATE", projectId, subject, needs });
  await announceEvaluation(tx, evaluation);
  return { evaluation, created: true };
}

function endOf({ projectId = defaultProjectId, expiry }: NewEvaluation): SQL {
  return expiryOf({ projectId, expiry }, "EVALUATION");
}

function keyOf({ projectId = defaultProjectId, idempotencyKey }: NewEvaluation): string | null {
  return storedKey(projectId, idempotencyKey);
}

function hashOf({ projectId: _project, expiry: _expiry, ...input }: NewEvaluation): string {
  return createHash("sha256")
    .update(canonicalJson({ ...input, idempotencyKey: null }))
    .digest("hex");
}

async function firstOfKey(tx: Transaction, input: NewEvaluation, inputHash: string): Promise<ModelEvaluation> {
  const here = eq(modelEvaluations.idempotencyKey, keyOf(input) ?? "");
  const first = only(await tx.select().from(modelEvaluations).where(here));
  if (first.inputHash === inputHash) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key ${JSON.stringify(input.idempotencyKey)} was used for another evaluation. ` +
      "Repeat that input to get the same one, or use a new key for a new one.",
  );
}

/** As they were checked when it was created; a rule that the release that stored it did not know has its default. */
export function rulesOf({ settings }: ModelEvaluation): EvaluationRules {
  return evaluationRulesSchema.parse(settings);
}

// Moves

interface Move {
  readonly to: CompletionStatus;
  readonly set?: PgUpdateSetSource<typeof modelEvaluations>;
}

const life: Life<CompletionStatus, ModelEvaluation, Move> = {
  noun: "evaluation",
  transitions: completionTransitions,
  lock: (tx, id) => tx.select().from(modelEvaluations).where(eq(modelEvaluations.id, id)).for("no key update"),
  write: (tx, id, { to, set }) =>
    tx
      .update(modelEvaluations)
      .set({ ...set, status: to })
      .where(eq(modelEvaluations.id, id))
      .returning(),
  announce: announceEvaluation,
};

const move = (tx: Transaction, id: string, decide: (evaluation: ModelEvaluation) => Move | null) =>
  moveRow(tx, life, id, decide);

const isFinal = ({ status }: ModelEvaluation) => hasEnded(status);
const ended = { finishedAt: sql`now()` };
const cancelled: Move = { to: "CANCELLED", set: { ...ended, wanted: "CANCEL" } };

export const evaluateJobs: JobHooks = {
  async claimed(tx, job) {
    const set = { startedAt: sql`coalesce(${modelEvaluations.startedAt}, now())` };
    // None if it was deleted together with its checkpoint.
    return (await move(tx, job.subject, () => ({ to: "RUNNING", set }))) ? "go on" : "done";
  },
  async failed(tx, job) {
    const row = await move(tx, job.subject, ({ wanted }) => (wanted === "CANCEL" ? cancelled : null));
    return row?.wanted === "CANCEL" ? "done" : "repeat";
  },
  wanted: (database, jobs) =>
    Promise.all(
      jobs.map(async ({ subject }) => {
        const here = eq(modelEvaluations.id, subject);
        const [row] = await database.select({ wanted: modelEvaluations.wanted }).from(modelEvaluations).where(here);
        return row?.wanted ?? "CANCEL";
      }),
    ),
};

async function finish(tx: Transaction, lease: Lease, end: EvaluationEnd): Promise<void> {
  const job = await lockJob(tx, lease);
  invariant(job.kind === "EVALUATE", `job ${job.id} evaluates a model`);
  await move(tx, job.subject, () => ({ to: end.status, set: { ...ended, ...columnsOf(end) } }));
  if (end.status === "SUCCEEDED" && end.rows && end.rows.length > 0)
    await tx.insert(evaluatedRows).values(end.rows.map((row) => ({ ...row, evaluationId: job.subject })));
  await finishJob(tx, lease);
}

function columnsOf(end: EvaluationEnd) {
  if (end.status === "SUCCEEDED") return end.measured;
  if (end.status === "CANCELLED") return {};
  return { errorCode: end.code, errorMessage: end.message, errorIssues: end.issues };
}

async function cancel(tx: Transaction, id: string): Promise<ModelEvaluation> {
  const job = isUuid(id) ? await lockJobAbout(tx, "EVALUATE", id) : null;
  const evaluation = await move(tx, id, (current) => {
    if (isFinal(current)) return null;
    if (!job || job.leaseWorker === null) return cancelled;
    return current.wanted === "CANCEL" ? null : { to: current.status, set: { wanted: "CANCEL" } };
  });
  if (!evaluation) throw new SteplogError("NOT_FOUND", `There is no evaluation ${JSON.stringify(id)}.`);
  if (isFinal(evaluation)) await withdrawJob(tx, "EVALUATE", id);
  return evaluation;
}

/** A worker that measures it finds its lease lost. @param unless asked once it is locked; if it throws, nothing is deleted */
export async function remove(
  tx: Transaction,
  id: string,
  unless?: (evaluation: ModelEvaluation) => Promise<void>,
): Promise<boolean> {
  if (!isUuid(id)) return false;
  await withdrawJob(tx, "EVALUATE", id);
  const here = eq(modelEvaluations.id, id);
  const [evaluation] = unless ? await tx.select().from(modelEvaluations).where(here).for("update") : [];
  if (evaluation) await unless?.(evaluation);
  const [gone] = await tx.delete(modelEvaluations).where(here).returning();
  if (!gone) return false;
  const { projectId, status } = gone;
  await audit(tx, { projectId, action: "evaluation.deleted", object: { id, name: null }, details: { status } });
  await announceEvaluation(tx, gone, "deleted");
  await dropUnnamed(tx, [gone.datasetId]);
  await wakeWatchers(tx, id);
  return true;
}
