/** What tests of completions begin with. */
import { type GenerateTask, type Piece, samplingSchema } from "../../schema/completion.ts";
import type { Completion } from "../../schema/serving-tables.ts";
import { type ClaimedJob, type Lease, type NewCompletion, type Store, leaseNameOf } from "../../store/store.ts";
import { everything } from "../support/claims.ts";
import { longMs, newInput } from "./fixtures.ts";

export const device = "plain f32 0123";
export const usage = { promptTokens: 3, cachedTokens: 0, completionTokens: 2 };

export function taskOf(changes: Partial<GenerateTask> = {}): GenerateTask {
  const sampling = samplingSchema.parse({ seed: 7 });
  return { kind: "GENERATE", maxTokens: 16, n: 1, stop: [], logprobs: null, sampling, ...changes };
}

export async function requestOf(store: Store, changes: Partial<NewCompletion> = {}): Promise<NewCompletion> {
  const { baseModelId } = await newInput(store);
  return {
    idempotencyKey: null,
    protocol: "GRAPHQL",
    baseModelId,
    checkpointId: null,
    alias: null,
    task: taskOf(),
    isSeedDrawn: false,
    prompt: [5, 0, 151_000],
    isAttended: false,
    needsWorker: false,
    waitMs: longMs,
    queueLimit: 1_000,
    keepMs: longMs,
    ...changes,
  };
}

export async function newCompletion(store: Store, changes: Partial<NewCompletion> = {}): Promise<Completion> {
  return (await store.completions.create(await requestOf(store, changes))).completion;
}

/** Claims requests as a worker's serving lane does. */
export async function claimRequests(store: Store, most = 100, worker = "w"): Promise<ClaimedJob[]> {
  const capabilities = { ...(await everything(store)), kinds: ["COMPLETE"] as const };
  const prefer = { bases: [], patienceMs: 0 };
  return store
    .claimer()
    .claimJobs({ worker: leaseNameOf("COMPLETE", worker), leaseMs: longMs, capabilities, prefer }, most);
}

/** A completion that a worker has begun. */
export async function begun(store: Store, changes: Partial<NewCompletion> = {}) {
  const completion = await newCompletion(store, changes);
  const job = (await claimRequests(store)).find(({ subject }) => subject === completion.id);
  if (!job) throw new Error("The request was claimed.");
  return { id: completion.id, job };
}

export function pieceOf(firstToken: number, text: string, changes: Partial<Piece> = {}): Piece {
  return { choice: 0, firstToken, tokens: [firstToken + 10], text, logprobs: null, finish: null, ...changes };
}

export async function write(store: Store, job: Lease, after: number, ...texts: string[]) {
  const pieces = texts.map((text, index) => pieceOf(after + index, text));
  return (await store.appendPieces([{ job, after, pieces, end: null }], device))[0];
}

export async function succeed(store: Store, job: Lease, after: number): Promise<void> {
  const end = { status: "SUCCEEDED", usage, scores: null } as const;
  await store.appendPieces([{ job, after, pieces: [], end }], device);
}
