/** Creating a run: its input is checked, a repeated request finds the first run, and a fork gets the start of its log. */
import { createHash } from "node:crypto";
import { type SQL, eq } from "drizzle-orm";
import { SteplogError, invariant } from "../../schema/errors.ts";
import type { Expiry } from "../../schema/expiry.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { type Hyperparameters, settingsToStore } from "../../schema/hyperparameters.ts";
import { canonicalJson } from "../../schema/step-log.ts";
import { type BaseModel, type FineTune, baseModels, checkpoints, fineTunes } from "../../schema/tables.ts";
import { expiryOf } from "../ends/expiry.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { requireDataset, requireRow } from "../postgres/required.ts";
import { storedKey } from "../projects/names.ts";
import type { RunNote } from "./lifecycle.ts";
import { queueRun } from "./lifecycle.ts";

export interface NewFineTune {
  /** The default one when left out. */
  readonly projectId?: string;
  readonly idempotencyKey: string | null;
  readonly name: string;
  readonly baseModelId: string;
  readonly datasetId: string;
  readonly validationDatasetId: string | null;
  readonly testDatasetId: string | null;
  readonly labelWords: readonly string[];
  /** None when left out. */
  readonly calibrationPrompt?: string | null;
  readonly hyperparameters: Hyperparameters;
  /** False when left out. */
  readonly keepWeights?: boolean;
  /** The checkpoint to continue from, instead of the base model; null when left out. */
  readonly from?: ForkPoint | null;
  /** None, none and 0 when left out. */
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly priority?: number;
  /** The sweep that it is of; not part of the request. */
  readonly sweep?: SweepPlace | null;
  /** When it ends; as the project says when left out. Not part of the request: a repeated one comes later. */
  readonly expiry?: Expiry | null;
  /** Events that a new run starts with, besides its first; not part of the request. */
  readonly notes?: readonly RunNote[];
}

export interface SweepPlace {
  readonly id: string;
  /** From 1. */
  readonly place: number;
}

export interface ForkPoint {
  readonly checkpointId: string;
  /** How many steps of batches to skip, because earlier runs trained on them; 0 starts with the first batch. */
  readonly firstStep: number;
}

/** @throws NOT_FOUND; CONFLICT for a key that was used with another input */
export async function create(
  tx: Transaction,
  input: NewFineTune,
): Promise<{ readonly fineTune: FineTune; readonly created: boolean }> {
  const baseModel = await requireInputs(tx, input);
  const { from = null, notes = [] } = input;
  const { request, inputHash } = requestOf(input);
  const start = from ? await startOfFork(tx, from, input.baseModelId) : {};
  // Waits for a concurrent create with the same key: then either its row conflicts, or ours is the first.
  const [fineTune] = await tx
    .insert(fineTunes)
    .values({ ...request, ...start, ...placeOf(input), inputHash, ...ownerOf(input), expiresAt: endOf(input) })
    .onConflictDoNothing({ target: fineTunes.idempotencyKey })
    .returning();
  if (!fineTune) return { fineTune: await firstOfKey(tx, input, inputHash), created: false };
  await queueRun(tx, fineTune, baseModel, notes);
  return { fineTune, created: true };
}

/** What makes two requests the same. */
export function requestOf(input: NewFineTune) {
  const { from = null, notes: _notes, projectId: _project, expiry: _expiry, sweep: _sweep, ...rest } = input;
  const settings = settingsToStore(input.hyperparameters);
  const request = { ...rest, ...settings, keepWeights: input.keepWeights ?? false };
  return { request, inputHash: hashOf({ ...request, ...(from && { from }) }) };
}

/** The project, and the key as it is stored for it. */
function ownerOf({ projectId = defaultProjectId, idempotencyKey }: NewFineTune) {
  return { projectId, idempotencyKey: storedKey(projectId, idempotencyKey) };
}

function placeOf({ sweep }: NewFineTune) {
  return sweep ? { sweepId: sweep.id, sweepPlace: sweep.place } : {};
}

function endOf({ projectId = defaultProjectId, expiry }: NewFineTune): SQL {
  return expiryOf({ projectId, expiry }, "FINE_TUNE");
}

/** Creates nothing. @throws CONFLICT as `create` does */
export async function refuseUsedKey(database: Database, input: NewFineTune): Promise<void> {
  if (input.idempotencyKey === null) return;
  const here = eq(fineTunes.idempotencyKey, ownerOf(input).idempotencyKey ?? "");
  const [first] = await database.select().from(fineTunes).where(here);
  if (first) sameInput(first, input.idempotencyKey, requestOf(input).inputHash);
}

async function requireInputs(tx: Transaction, input: NewFineTune): Promise<BaseModel> {
  await requireRow(tx, baseModels, baseModels.id, input.baseModelId, "base model");
  await requireDataset(tx, input.datasetId);
  const optional = { "validation dataset": input.validationDatasetId, "test dataset": input.testDatasetId };
  for (const [noun, id] of Object.entries(optional)) {
    if (id !== null) await requireDataset(tx, id, noun);
  }
  return only(await tx.select().from(baseModels).where(eq(baseModels.id, input.baseModelId)));
}

/** The log of a fork is the parent's up to the checkpoint, by reference: only its header and chain hash are copied. */
async function startOfFork(tx: Transaction, { checkpointId, firstStep }: ForkPoint, baseModelId: string) {
  const here = eq(checkpoints.id, checkpointId);
  const [checkpoint] = isUuid(checkpointId) ? await tx.select().from(checkpoints).where(here).for("key share") : [];
  if (!checkpoint) throw new SteplogError("NOT_FOUND", `There is no checkpoint ${JSON.stringify(checkpointId)}.`);
  const parent = only(await tx.select().from(fineTunes).where(eq(fineTunes.id, checkpoint.fineTuneId)));
  invariant(parent.baseModelId === baseModelId, "a fork has the base model of its checkpoint");
  const { entries, chain } = checkpoint;
  const log = { entries, chain, firstEntry: entries, logHeader: parent.logHeader };
  return { ...log, fromCheckpointId: checkpoint.id, firstStep };
}

function hashOf(input: Omit<NewFineTune, "notes" | "projectId" | "expiry" | "sweep">): string {
  return createHash("sha256")
    .update(canonicalJson({ ...input, idempotencyKey: null }))
    .digest("hex");
}

async function firstOfKey(tx: Transaction, input: NewFineTune, inputHash: string): Promise<FineTune> {
  const here = eq(fineTunes.idempotencyKey, ownerOf(input).idempotencyKey ?? "");
  const first = only(await tx.select().from(fineTunes).where(here));
  return sameInput(first, input.idempotencyKey ?? "", inputHash);
}

function sameInput(first: FineTune, key: string, inputHash: string): FineTune {
  if (first.inputHash === inputHash) return first;
  throw new SteplogError(
    "CONFLICT",
    `The idempotency key ${JSON.stringify(key)} was used for the fine-tune ${JSON.stringify(first.name)}, with another input. ` +
      "Repeat that input to get the same run, or use a new key for a new run.",
  );
}
