/** Creating a completion: row and job at once, unless too many wait. A repeated request finds the first one. */
import { createHash } from "node:crypto";
import { count, eq, sql } from "drizzle-orm";
import type { CompletionProtocol, CompletionTask } from "../../schema/completion.ts";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { Expiry } from "../../schema/expiry.ts";
import { settingsOf } from "../../schema/hyperparameters.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import type { Needs } from "../../schema/jobs.ts";
import { attendMs } from "../../schema/limits.ts";
import { type Completion, completions } from "../../schema/serving-tables.ts";
import { canonicalJson } from "../../schema/step-log.ts";
import { type BaseModel, baseModels, checkpoints, fineTunes } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import { weightsInMemory } from "../../schema/weights-memory.ts";
import { expiryOf } from "../ends/expiry.ts";
import { partsOf } from "../models/part-names.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { requireRow } from "../postgres/required.ts";
import { msFromStart } from "../postgres/times.ts";
import { storedKey } from "../projects/names.ts";
import { quotasOf, refuseBeyondRequests, refuseUsedUp } from "../projects/quotas.ts";
import { addJob } from "../queue/jobs.ts";
import { whyNobody } from "../queue/waiting.ts";
import { liveWorkers } from "../queue/workers.ts";
import { trainingNeeds } from "../runs/lifecycle.ts";
import { packTokens } from "./tokens.ts";

/** What is to answer: a base, or a checkpoint of a run on it. */
export interface Target {
  readonly baseModelId: string;
  readonly checkpointId: string | null;
}

export interface NewCompletion extends Target {
  /** The default one when left out. */
  readonly projectId?: string;
  readonly idempotencyKey: string | null;
  readonly protocol: CompletionProtocol;
  /** The alias by which the target was named. A repeated request may find the alias moved: it gets the first answer. */
  readonly alias: string | null;
  readonly task: CompletionTask;
  /** Whether the seed was drawn for this request, so that a repeated one comes with another. */
  readonly isSeedDrawn: boolean;
  /** Tokens; none for a SCORE task. */
  readonly prompt: readonly number[];
  /** Whether somebody waits for the answer: then the completion ends soon after `attend` was last called for it. */
  readonly isAttended: boolean;
  /** Whether it is refused unless a live worker could answer it. A repeated one gets the first answer, whoever could. */
  readonly needsWorker: boolean;
  /** How long it may wait for a worker, how many may wait, and how long the row is kept. */
  readonly waitMs: number;
  readonly queueLimit: number;
  readonly keepMs: number;
  /** When it ends instead; as the project says when left out, and else after keepMs. Never is not possible. */
  readonly expiry?: Exclude<Expiry, { never: true }> | null;
}

/** @throws as Completions.create */
export async function create(
  tx: Transaction,
  input: NewCompletion,
): Promise<{ readonly completion: Completion; readonly created: boolean }> {
  const { projectId = defaultProjectId } = input;
  const [needs, workers, quotas] = await Promise.all([
    needsOf(tx, input),
    input.needsWorker ? liveWorkers(tx) : null,
    quotasOf(tx, projectId),
    requireTarget(tx, input),
  ]);
  const inputHash = hashOf(input);
  const [completion] = await tx
    .insert(completions)
    .values({ ...rowOf(input), inputHash })
    .onConflictDoNothing({ target: completions.idempotencyKey })
    .returning();
  if (!completion) return { completion: await firstOfKey(tx, input, inputHash), created: false };
  const lacking = workers && whyNobody("COMPLETE", needs, workers);
  if (lacking) throw new SteplogError("UNAVAILABLE", lacking);
  await refuseUsedUp(tx, projectId, quotas);
  await addJob(tx, { kind: "COMPLETE", projectId, subject: completion.id, needs });
  await refuseIfBusy(tx, input.queueLimit);
  await refuseBeyondRequests(tx, projectId, quotas);
  return { completion, created: true };
}

/** @throws NOT_FOUND */
export async function requireTarget(tx: Transaction, { baseModelId, checkpointId }: Target): Promise<void> {
  await requireRow(tx, baseModels, baseModels.id, baseModelId, "base model");
  if (checkpointId !== null) await requireRow(tx, checkpoints, checkpoints.id, checkpointId, "checkpoint");
}

function rowOf({ protocol, baseModelId, checkpointId, alias, task, prompt, ...rest }: NewCompletion) {
  const { projectId = defaultProjectId } = rest;
  return {
    projectId,
    idempotencyKey: storedKey(projectId, rest.idempotencyKey),
    protocol,
    baseModelId,
    checkpointId,
    alias,
    task,
    prompt: packTokens(prompt),
    attendedUntil: rest.isAttended ? msFromStart(attendMs.holds) : null,
    startBy: msFromStart(rest.waitMs),
    expiresAt: expiryOf({ projectId, expiry: rest.expiry }, "COMPLETION", rest.keepMs / 1_000),
  };
}

/** A key of advisory locks, beside that of migrations. */
const queueLock = "7310312871246031";

/**
 * One at a time, so that the limit is exact. Comes last: what remains is the commit, and since it notifies workers, Postgres
 * lets only one of these happen at a time anyway. Both statements are sent together.
 */
async function refuseIfBusy(tx: Transaction, limit: number): Promise<void> {
  const waiting = eq(completions.status, sql`'QUEUED'`);
  const alone = tx.execute(sql`select pg_advisory_xact_lock(${queueLock}::bigint)`);
  const [, [row]] = await Promise.all([alone, tx.select({ count: count() }).from(completions).where(waiting)]);
  if (!row || row.count <= limit) return;
  const seen = `${counted(limit, "request")} ${limit === 1 ? "waits" : "wait"} for a worker`;
  throw new SteplogError("BUSY", `${seen}, and that is the limit. Try again in a moment.`);
}

/** The alias stands for what it pointed at first, and a seed that nobody chose for the one that was drawn first. */
function hashOf({ protocol, baseModelId, checkpointId, alias, task, isSeedDrawn, prompt }: NewCompletion): string {
  const target = alias === null ? { baseModelId, checkpointId } : { alias };
  const isDrawn = task.kind === "GENERATE" && isSeedDrawn;
  const asked = isDrawn ? { ...task, sampling: { ...task.sampling, seed: null } } : task;
  return createHash("sha256")
    .update(canonicalJson({ protocol, target, task: asked, prompt }))
    .digest("hex");
}

async function firstOfKey(tx: Transaction, input: NewCompletion, inputHash: string): Promise<Completion> {
  const key = input.idempotencyKey ?? "";
  const stored = storedKey(input.projectId ?? defaultProjectId, key);
  const first = only(await tx.select().from(completions).where(eq(completions.idempotencyKey, stored)));
  if (first.inputHash === inputHash) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key ${JSON.stringify(key)} was used for another request. ` +
      "Repeat that request to get the same completion, or use a new key for a new one.",
  );
}

/** What a worker needs to answer for a target. @throws NOT_FOUND */
export async function needsOf(database: Database | Transaction, { baseModelId, checkpointId }: Target): Promise<Needs> {
  const [model] = await database.select().from(baseModels).where(eq(baseModels.id, baseModelId));
  if (!model) throw new SteplogError("NOT_FOUND", `There is no base model ${JSON.stringify(baseModelId)}.`);
  const memoryBytes = checkpointId === null ? weightsInMemory(model) : await bytesOf(database, model, checkpointId);
  return { models: [{ name: model.name, hash: model.hash }], families: [model.family], memoryBytes };
}

/** The base's weights and the adapter. */
async function bytesOf(database: Database | Transaction, model: BaseModel, checkpointId: string): Promise<number> {
  const [found] = !isUuid(checkpointId)
    ? []
    : await database
        .select({ run: fineTunes })
        .from(checkpoints)
        .innerJoin(fineTunes, eq(fineTunes.id, checkpoints.fineTuneId))
        .where(eq(checkpoints.id, checkpointId));
  if (!found) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(checkpointId)}.`);
  invariant(found.run.baseModelId === model.id, `checkpoint ${checkpointId} is of a run on the base model ${model.id}`);
  const { memoryBytes } = trainingNeeds(settingsOf(found.run), model, await partsOf(database, model.id));
  return memoryBytes ?? weightsInMemory(model);
}
