/**
 * Pieces that end nothing, of all requests of a worker, in one statement: it comes about twenty times a second for as long as
 * somebody is answered, and what it takes is taken from the passes. Its text is the same for any number of pieces, so that
 * Postgres has read it before.
 *
 * It locks all jobs, in order of id, before the first completion, as every writer does. Rows that others change while it waits for
 * a lock are seen as they are then.
 */
import { sql } from "drizzle-orm";
import { completionPieces, completions } from "../../schema/serving-tables.ts";
import type { Wanted } from "../../schema/states.ts";
import { jobs } from "../../schema/tables.ts";
import type { Database } from "../postgres/database.ts";
import { channels } from "../postgres/notify.ts";
import { usageFrom } from "../projects/usage.ts";
import { unfailed } from "../queue/jobs.ts";
import { wantedNow } from "./lifecycle.ts";
import type { Answered } from "./answered.ts";
import { storable, storableLogprob } from "./storable.ts";
import { packTokens } from "./tokens.ts";

/** @returns as `Answers.appendPieces` */
export async function appendAtOnce(
  database: Database,
  answers: readonly Answered[],
  device: string,
): Promise<(Wanted | null)[]> {
  const given = answers.map(({ job, after, pieces }) => ({
    job: job.id,
    token: job.token,
    after,
    count: pieces.length,
    amount: tokensOf(pieces),
  }));
  const rows = await database.execute<{ job: string; wanted: Wanted }>(
    statement(JSON.stringify(given), JSON.stringify(answers.flatMap(rowsOf)), device),
  );
  const wanted = new Map(rows.map((row) => [Number(row.job), row.wanted]));
  return answers.map(({ job }) => wanted.get(job.id) ?? null);
}

/** A repeated append finds its pieces stored, and stores nothing: nobody else can have written them under this lease. */
function statement(given: string, pieces: string, device: string) {
  return sql`
    with given as materialized (
      select * from jsonb_to_recordset(${given}::text::jsonb) as given
        (job bigint, token bigint, after integer, count integer, amount integer)
    ), held as materialized (
      select id, lease_token, subject::uuid as subject, attempts, project_id from ${jobs}
      where id = any(array(select job from given)) order by id for update
    ), known as materialized (
      select id, pieces, ${wantedNow} as wanted from ${completions}
      where id = any(array(select subject from held)) order by id for no key update
    ), mine as materialized (
      select job, attempts, project_id, known.id, wanted, count, amount, pieces = after as fresh
      from given join held on held.id = job and lease_token = token join known on known.id = subject
      where pieces in (after, after + count)
    ), progress as (
      update ${jobs} set ${unfailed} where id = any(array(select job from mine where fresh and attempts > 0))
    ), counted as (
      update ${completions} set pieces = ${completions.pieces} + mine.count, stage = null, device = ${device},
        first_token_at = coalesce(first_token_at, now())
      from mine where fresh and ${completions.id} = mine.id
    ), written as (
      insert into ${completionPieces} (completion_id, sequence, choice, first_token, tokens, text, logprobs, finish)
      select mine.id, sequence, choice, first, decode(tokens, 'base64'), text, logprobs, finish
      from jsonb_to_recordset(${pieces}::text::jsonb) as piece
        (job bigint, sequence integer, choice integer, first integer, tokens text, text text, logprobs jsonb, finish text)
      join mine on mine.job = piece.job and fresh
    ), used as (
      ${usageFrom(sql`select project_id, 'TOKENS_GENERATED', amount from mine where fresh`)}
    )
    select job, wanted, case when fresh then pg_notify(${channels.fineTunes}, id::text) end from mine`;
}

export const tokensOf = (pieces: readonly { readonly tokens: readonly number[] }[]) =>
  pieces.reduce((sum, { tokens }) => sum + tokens.length, 0);

function rowsOf({ job, after, pieces }: Answered) {
  return pieces.map((piece, index) => ({
    job: job.id,
    sequence: after + index + 1,
    choice: piece.choice,
    first: piece.firstToken,
    tokens: Buffer.from(packTokens(piece.tokens)).toString("base64"),
    text: storable(piece.text),
    logprobs: piece.logprobs?.map(storableLogprob) ?? null,
    finish: piece.finish,
  }));
}
