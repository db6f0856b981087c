/** What a worker records about a run besides its steps: evaluations, checkpoints and events. */
import { and, eq } from "drizzle-orm";
import { bestOf, scoreOf } from "../../schema/best-evaluation.ts";
import { SteplogError } from "../../schema/errors.ts";
import { settingsOf } from "../../schema/hyperparameters.ts";
import type { Log } from "../../schema/log.ts";
import { runMemory } from "../../schema/memory-tables.ts";
import type { EvaluationKind, MemoryKind } from "../../schema/states.ts";
import {
  type Checkpoint,
  type FineTune,
  type WeightsFile,
  checkpoints,
  evaluations,
  fineTunes,
} from "../../schema/tables.ts";
import { expiryOf } from "../ends/expiry.ts";
import { type Database, type Transaction, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { useBytes } from "../projects/quotas.ts";
import { addUsage } from "../projects/usage.ts";
import { madeProgress } from "../queue/jobs.ts";
import type { Lease } from "../queue/leases.ts";
import { announceCheckpoint, announceRun } from "../webhooks/announce.ts";
import { addEvent, hasEvent } from "./events.ts";
import { lockJobAndRun, lockRunOf } from "./lifecycle.ts";
import { bytesOf, noWeights, storedWeights } from "./weights.ts";

export interface NewEvaluation {
  readonly f1?: number | null;
  readonly exactMatch?: number | null;
  /** VALIDATION when left out. */
  readonly kind?: EvaluationKind;
  readonly entries: number;
  readonly step: number;
  readonly rows: number;
  readonly loss: number;
  readonly accuracy: number | null;
  /** How long it took; not known when left out. */
  readonly seconds?: number;
}

export interface NewCheckpoint {
  readonly entries: number;
  readonly step: number;
  readonly chain: Uint8Array;
  readonly weightsDigest: string;
  /** Files of the weights, when they are kept. */
  readonly weightsFiles?: readonly WeightsFile[];
  /** As of an evaluation. */
  readonly seconds?: number;
}

export interface NewMemory {
  readonly kind: MemoryKind;
  readonly step: number;
  readonly residentBytes: number;
  readonly peakBytes: number | null;
}

export interface NewEvent {
  readonly type: string;
  readonly message: string;
  readonly once?: boolean;
}

export interface Records {
  /** Once per kind and position in the log; a repeat changes nothing. */
  recordEvaluation(job: Lease, evaluation: NewEvaluation): Promise<void>;
  /** Once per position in the log; a repeat returns the first. @throws INTERNAL when its weights had another digest */
  recordCheckpoint(job: Lease, checkpoint: NewCheckpoint): Promise<Checkpoint>;
  /** Once per kind and step; a repeat changes nothing. */
  recordMemory(job: Lease, memory: NewMemory): Promise<void>;
  /** With `once`, a second event of that type changes nothing. */
  recordEvent(job: Lease, event: NewEvent): Promise<void>;
}

export function recordsOf(database: Database, log: Log | undefined): Records {
  return {
    recordEvaluation: (lease, evaluation) => database.transaction((tx) => recordEvaluation(tx, lease, evaluation)),
    recordCheckpoint: (lease, checkpoint) => database.transaction((tx) => recordCheckpoint(tx, lease, checkpoint, log)),
    recordMemory: (lease, memory) => database.transaction((tx) => recordMemory(tx, lease, memory)),
    recordEvent: (lease, event) => database.transaction((tx) => recordEvent(tx, lease, event)),
  };
}

/** A worker that takes over may measure the same position again; the first measurement stands. */
async function recordEvaluation(tx: Transaction, lease: Lease, evaluation: NewEvaluation): Promise<void> {
  const { job, run } = await lockJobAndRun(tx, lease);
  const added = await tx
    .insert(evaluations)
    .values({ fineTuneId: run.id, ...evaluation })
    .onConflictDoNothing()
    .returning({ entries: evaluations.entries });
  if (added.length > 0) {
    await madeProgress(tx, job);
    await keepBest(tx, run);
    await addUsage(tx, [{ projectId: run.projectId, kind: "EVALUATION_SECONDS", amount: evaluation.seconds ?? 0 }]);
    await announceRun(tx, run, "evaluated", { evaluation: measuredBy(evaluation) });
  }
  await wakeWatchers(tx, run.id);
}

/** Of all of the run's evaluations: those by workers of an earlier release are not on the run yet. */
async function keepBest(tx: Transaction, run: FineTune): Promise<void> {
  const { bestMetric } = settingsOf(run);
  const all = await tx
    .select()
    .from(evaluations)
    .where(eq(evaluations.fineTuneId, run.id))
    .orderBy(evaluations.entries);
  const best = bestOf(all, bestMetric);
  if (!best || !Number.isFinite(best.loss)) return;
  const change = { bestScore: scoreOf(best, bestMetric)?.value ?? null, bestLoss: best.loss };
  if (change.bestScore === run.bestScore && change.bestLoss === run.bestLoss) return;
  await tx.update(fineTunes).set(change).where(eq(fineTunes.id, run.id));
}

async function recordMemory(tx: Transaction, lease: Lease, memory: NewMemory): Promise<void> {
  const { id: fineTuneId } = await lockRunOf(tx, lease);
  const { kind, step, residentBytes, peakBytes } = memory;
  await tx.insert(runMemory).values({ fineTuneId, kind, step, residentBytes, peakBytes }).onConflictDoNothing();
}

function measuredBy({ kind = "VALIDATION", step, rows, loss, accuracy, f1, exactMatch }: NewEvaluation) {
  return { kind, step, rows, loss, accuracy, f1: f1 ?? null, exactMatch: exactMatch ?? null };
}

async function recordEvent(tx: Transaction, lease: Lease, { type, message, once }: NewEvent): Promise<void> {
  const run = await lockRunOf(tx, lease);
  if (once && (await hasEvent(tx, run.id, type))) return;
  await addEvent(tx, run.id, type, message);
  await wakeWatchers(tx, run.id);
}

async function recordCheckpoint(
  tx: Transaction,
  lease: Lease,
  { weightsFiles = [], ...position }: NewCheckpoint,
  log: Log | undefined,
): Promise<Checkpoint> {
  const run = await lockRunOf(tx, lease);
  if (position.entries > run.entries) {
    throw new SteplogError(
      "INVALID_STATE",
      `The log ends at entry ${run.entries}, before the checkpoint at entry ${position.entries}.`,
    );
  }
  const [added] = await tx
    .insert(checkpoints)
    .values({ fineTuneId: run.id, ...position, expiresAt: expiryOf(run, "CHECKPOINT") })
    .onConflictDoNothing()
    .returning();
  const here = and(eq(checkpoints.fineTuneId, run.id), eq(checkpoints.entries, position.entries));
  const checkpoint = added ?? only(await tx.select().from(checkpoints).where(here).for("no key update"));
  refuseOtherWeights(checkpoint, position, log);
  await Promise.all([added && announceCheckpoint(tx, checkpoint, "created", {}, run), wakeWatchers(tx, run.id)]);
  if (weightsFiles.length === 0 || checkpoint.weightsStatus !== "NONE") return checkpoint;
  return keepWeights(tx, run, checkpoint, weightsFiles);
}

/** A run whose weights no longer fit into its project succeeds without: its log rebuilds them. */
async function keepWeights(
  tx: Transaction,
  run: FineTune,
  checkpoint: Checkpoint,
  weightsFiles: readonly WeightsFile[],
): Promise<Checkpoint> {
  const here = eq(checkpoints.id, checkpoint.id);
  const stored = only(await tx.update(checkpoints).set(storedWeights(weightsFiles)).where(here).returning());
  const beyond = await useBytes(tx, run.projectId, bytesOf(weightsFiles));
  if (!beyond) {
    await announceCheckpoint(tx, stored, "weights_stored", {}, run);
    return stored;
  }
  const left = only(await tx.update(checkpoints).set(noWeights).where(here).returning());
  await addEvent(tx, run.id, "WEIGHTS_NOT_KEPT", `The log rebuilds them once there is room. ${beyond.message}`);
  await wakeWatchers(tx, run.id);
  return left;
}

/** One position in one log has one set of weights. If not, the promise of the whole service is broken. */
function refuseOtherWeights(checkpoint: Checkpoint, position: NewCheckpoint, log: Log | undefined): void {
  const sameChain = Buffer.from(position.chain).equals(checkpoint.chain);
  if (sameChain && checkpoint.weightsDigest === position.weightsDigest) return;
  const seen = { fineTuneId: checkpoint.fineTuneId, entries: position.entries };
  const digests = { recorded: checkpoint.weightsDigest, measured: position.weightsDigest };
  log?.error({ ...seen, ...digests, sameChain }, "Two workers got different weights from one log.");
  throw new SteplogError(
    "INTERNAL",
    `At entry ${position.entries} of fine-tune ${checkpoint.fineTuneId} this worker has weights with the digest ` +
      `${position.weightsDigest}, but ${checkpoint.weightsDigest} was recorded there for ` +
      `${sameChain ? "the same log" : "another log"}. One of the two machines or builds computes wrong results.`,
  );
}
