/**
 * What workers write of completions. The pieces of all requests that a worker answers go into the store together, in one
 * transaction: it locks their jobs in order of id, and leaves out those that the worker no longer holds. A completion's pieces
 * have numbers without gaps, so an append that may have happened can be repeated.
 */
import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { CompletionStage, FinishReason, Piece, TokenLogprob } from "../../schema/completion.ts";
import { type Completion, type CompletionPiece, completionPieces, completions } from "../../schema/serving-tables.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { wakeWatchers, wakeWatchersOf } from "../postgres/notify.ts";
import { type Use, addUsage } from "../projects/usage.ts";
import { madeProgress } from "../queue/jobs.ts";
import { type Lease, lockJob, lockJobs } from "../queue/leases.ts";
import { type CompletionEnd, endCompletion, hasEnded, wantedNow } from "./lifecycle.ts";
import { packTokens, unpackTokens } from "./tokens.ts";

/** What a worker has to say of one completion. */
export interface Answered {
  readonly job: Lease;
  /** Pieces before these. */
  readonly after: number;
  readonly pieces: readonly Piece[];
  /** After these pieces; null while it goes on. */
  readonly end: CompletionEnd | null;
}

export interface Answers {
  /**
   * Writes pieces and ends. What is wanted of each completion, in their order; null where the lease is lost, or the pieces do
   * not follow those that are stored: nothing was written then.
   * @param device names what answers
   */
  appendPieces(answers: readonly Answered[], device: string): Promise<(Wanted | null)[]>;
  /** @throws LEASE_LOST */
  setStage(job: Lease, stage: CompletionStage): Promise<void>;
}

export function answersOf(database: Database): Answers {
  return {
    async appendPieces(answers, device) {
      if (answers.length === 0) return [];
      return database.transaction((tx) => append(tx, answers, device));
    },
    setStage: (lease, stage) =>
      database.transaction(async (tx) => {
        const { subject } = await lockJob(tx, lease);
        await tx.update(completions).set({ stage }).where(eq(completions.id, subject));
        await wakeWatchers(tx, subject);
      }),
  };
}

interface Known {
  readonly job: Job;
  readonly pieces: number;
  readonly wanted: Wanted;
}

async function append(tx: Transaction, answers: readonly Answered[], device: string): Promise<(Wanted | null)[]> {
  const known = await lockAll(tx, answers);
  const mine = answers.flatMap((answer) => {
    const held = known.get(answer.job.id);
    return held && follows(answer, held) ? [{ ...answer, held }] : [];
  });
  const fresh = mine.filter(({ pieces, after, held }) => pieces.length > 0 && held.pieces === after);
  await insertPieces(tx, fresh, device);
  for (const { end, held } of mine) if (end) await endCompletion(tx, held.job, end);
  await addUsage(tx, mine.flatMap(usedBy));
  return answers.map(({ job }) => mine.find(({ held }) => held.job.id === job.id)?.held.wanted ?? null);
}

function usedBy({ end, held }: Fresh): Use[] {
  const amount = end && "usage" in end ? (end.usage?.completionTokens ?? 0) : 0;
  return [{ projectId: held.job.projectId, kind: "TOKENS_GENERATED", amount }];
}

/** A repeated append finds its pieces stored: nobody else can have written them under this lease. */
function follows({ after, pieces }: Answered, held: Known): boolean {
  return held.pieces === after || held.pieces === after + pieces.length;
}

async function lockAll(tx: Transaction, answers: readonly Answered[]): Promise<Map<number, Known>> {
  const leases = answers.map(({ job }) => job);
  const ids = leases.map(({ id }) => id);
  const subjects = tx
    .select({ id: sql<string>`${jobs.subject}::uuid` })
    .from(jobs)
    .where(inArray(jobs.id, ids));
  // Sent together, and done one after the other.
  const [held, rows] = await Promise.all([
    lockJobs(tx, leases),
    tx
      .select({ id: completions.id, pieces: completions.pieces, wanted: wantedNow })
      .from(completions)
      .where(inArray(completions.id, subjects))
      .orderBy(asc(completions.id))
      .for("no key update"),
  ]);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return new Map(
    held.flatMap((job) => {
      const row = byId.get(job.subject);
      return row ? [[job.id, { job, pieces: row.pieces, wanted: row.wanted }] as const] : [];
    }),
  );
}

type Fresh = Answered & { readonly held: Known };

async function insertPieces(tx: Transaction, fresh: readonly Fresh[], device: string): Promise<void> {
  if (fresh.length === 0) return;
  const ids = fresh.map(({ held }) => held.job.subject);
  const counts = JSON.stringify(Object.fromEntries(fresh.map(({ held, pieces }) => [held.job.subject, pieces.length])));
  const counted = tx
    .update(completions)
    .set({
      pieces: sql`${completions.pieces} + (${counts}::jsonb ->> ${completions.id}::text)::integer`,
      firstTokenAt: sql`coalesce(${completions.firstTokenAt}, now())`,
      stage: null,
      device,
    })
    .where(inArray(completions.id, ids));
  await Promise.all([
    tx.insert(completionPieces).values(fresh.flatMap(rowsOf)),
    counted,
    ...fresh.map(({ held }) => madeProgress(tx, held.job)),
    wakeWatchersOf(tx, ids),
  ]);
}

function rowsOf({ held, after, pieces }: Fresh) {
  return pieces.map((piece, index) => ({
    completionId: held.job.subject,
    sequence: after + index + 1,
    choice: piece.choice,
    firstToken: piece.firstToken,
    tokens: packTokens(piece.tokens),
    text: storable(piece.text),
    logprobs: piece.logprobs?.map(storableLogprob) ?? null,
    finish: piece.finish,
  }));
}

/** A model may write U+0000, the only character that Postgres cannot store, or half a character. */
function storable(text: string): string {
  return text.replaceAll("\0", "\uFFFD").toWellFormed();
}

function storableLogprob(chance: TokenLogprob): TokenLogprob {
  const top = chance.top.map((other) => ({ ...other, text: storable(other.text) }));
  return { ...chance, text: storable(chance.text), top };
}

// Reading them

/** All that was written of one choice. */
export interface WrittenChoice {
  readonly index: number;
  readonly tokens: readonly number[];
  readonly text: string;
  /** One per token; null unless they were wanted. */
  readonly logprobs: readonly TokenLogprob[] | null;
  /** Null while it goes on. */
  readonly finish: FinishReason | null;
}

/** A piece, and what answers. */
export type WrittenPiece = CompletionPiece & { readonly device: string | null };

/** The pieces after one, and whether the completion has ended: then they are the last. Null for an unknown completion. */
export async function piecesAfter(
  database: Database,
  id: string,
  after: number,
  most: number,
): Promise<{ readonly rows: WrittenPiece[]; readonly hasEnded: boolean } | null> {
  const { sequence, completionId } = completionPieces;
  const rows = await database
    .select({ status: completions.status, device: completions.device, piece: completionPieces })
    .from(completions)
    .leftJoin(completionPieces, and(eq(completionId, completions.id), gt(sequence, after)))
    .where(eq(completions.id, id))
    .orderBy(asc(sequence))
    .limit(most);
  const [first] = rows;
  if (!first) return null;
  const written = rows.flatMap(({ piece, device }) => (piece ? [{ ...piece, device }] : []));
  return { rows: written, hasEnded: hasEnded(first.status) };
}

function allPieces(database: Database, id: string): Promise<CompletionPiece[]> {
  const mine = eq(completionPieces.completionId, id);
  return database.select().from(completionPieces).where(mine).orderBy(asc(completionPieces.sequence));
}

/** The choices of a GENERATE task, each with its pieces joined; none of a SCORE task. */
export async function choicesOf(database: Database, completion: Completion): Promise<WrittenChoice[]> {
  const { task, status } = completion;
  if (task.kind !== "GENERATE") return [];
  const pieces = completion.pieces === 0 ? [] : await allPieces(database, completion.id);
  return Array.from({ length: task.n }, (_, index) => {
    const mine = pieces.filter(({ choice }) => choice === index);
    const finish = mine.at(-1)?.finish ?? null;
    return {
      index,
      tokens: mine.flatMap(({ tokens }) => [...unpackTokens(tokens)]),
      text: mine.map(({ text }) => text).join(""),
      logprobs: task.logprobs === null ? null : mine.flatMap(({ logprobs }) => logprobs ?? []),
      finish: finish ?? (status === "CANCELLED" ? "CANCELLED" : null),
    };
  });
}
