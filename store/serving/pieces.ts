/**
 * What workers write of completions. The pieces of all requests that a worker answers go into the store together, in one
 * transaction: it locks their jobs in order of id, and leaves out those that the worker no longer holds. A completion's pieces
 * have numbers without gaps, so an append that may have happened can be repeated.
 */
import { asc, eq, inArray, sql } from "drizzle-orm";
import {
  type CompletionStage,
  type CompletionStatus,
  type FinishReason,
  type TokenLogprob,
  hasEnded,
} from "../../schema/completion.ts";
import { type Completion, type CompletionPiece, completionPieces, completions } from "../../schema/serving-tables.ts";
import type { Wanted } from "../../schema/states.ts";
import { type Job, jobs } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { wakeWatchers, wakeWatchersOf } from "../postgres/notify.ts";
import { type Use, addUsage } from "../projects/usage.ts";
import { madeProgress } from "../queue/jobs.ts";
import { type Lease, lockJob, lockJobs } from "../queue/leases.ts";
import type { Answered } from "./answered.ts";
import { appendAtOnce, tokensOf } from "./append-at-once.ts";
import { endCompletion, wantedNow } from "./lifecycle.ts";
import { storable, storableLogprob } from "./storable.ts";
import { packTokens, unpackTokens } from "./tokens.ts";

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
      if (answers.every(({ end }) => end === null)) return appendAtOnce(database, answers, device);
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
  await addUsage(tx, [...fresh.map(tokensUsed), ...mine.map(secondsUsed)]);
  return answers.map(({ job }) => mine.find(({ held }) => held.job.id === job.id)?.held.wanted ?? null);
}

/** Counted as they are stored, so whatever ends a completion, and whoever: a worker, a client, a lack of workers. */
function tokensUsed({ pieces, held }: Fresh): Use {
  return { projectId: held.job.projectId, kind: "TOKENS_GENERATED", amount: tokensOf(pieces) };
}

/** Counted with its end, by the worker that ends it. */
function secondsUsed({ end, seconds = 0, held }: Fresh): Use {
  return { projectId: held.job.projectId, kind: "COMPLETION_SECONDS", amount: end ? seconds : 0 };
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

export interface PiecesPage {
  readonly rows: readonly WrittenPiece[];
  /** Whether the completion has ended: then a page that is not full is the last. */
  readonly hasEnded: boolean;
}

type PieceRow = Omit<WrittenPiece, "sequence" | "at"> & {
  readonly place: number;
  readonly status: CompletionStatus;
  /** Null where there is no such piece. */
  readonly sequence: number | null;
  readonly at: string;
};

/** Of several completions the pieces after one, at most so many of each, by one statement. Null for an unknown completion. */
export async function piecesAfterEach(
  database: Database,
  wanted: readonly { readonly id: string; readonly after: number }[],
  most: number,
): Promise<(PiecesPage | null)[]> {
  const asked = JSON.stringify(wanted.map(({ id, after }, place) => ({ place, id, after })));
  const { id, status, device } = completions;
  const rows = await database.execute<PieceRow>(sql`
    select place, ${id} as "completionId", ${status} as status, ${device} as device, piece.*
    from jsonb_to_recordset(${asked}::text::jsonb) as asked (place integer, id uuid, after integer)
    join ${completions} on ${id} = asked.id left join lateral (
      select sequence, choice, first_token as "firstToken", tokens, text, logprobs, finish, at from ${completionPieces}
      where completion_id = asked.id and sequence > after order by sequence limit ${most}
    ) as piece on true order by place, sequence`);
  const pages: ({ readonly rows: WrittenPiece[]; readonly hasEnded: boolean } | null)[] = wanted.map(() => null);
  for (const { place, status: now, sequence, at, ...piece } of rows) {
    const page = (pages[place] ??= { rows: [], hasEnded: hasEnded(now) });
    if (sequence !== null) page.rows.push({ ...piece, sequence, at: new Date(at) });
  }
  return pages;
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
