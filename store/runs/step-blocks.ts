/**
 * Steps merged into blocks as they come, and these into larger ones: a chart of a million steps would read a million rows
 * (charts.ts). Blocks are made in the transaction that stores the last of their steps, so they are never wrong.
 */
import { type SQL, sql } from "drizzle-orm";
import { mergedSteps } from "../../schema/block-tables.ts";
import { stepMetrics } from "../../schema/tables.ts";
import type { Transaction } from "../postgres/database.ts";

/** How many blocks of a size, or steps, one of the next has. */
const merging = 8;
/** Steps of a block, from the smallest to the largest. */
export const sizes = [8, 64, 512, 4096] as const;
/** Steps that one append merges at most: a long run of an earlier release gets the rest with later ones. */
const stepsAtOnce = 16_384;

/** Makes the blocks that are whole since the steps after `before` were stored, and those that are missing before them. */
export async function mergeSteps(tx: Transaction, fineTuneId: string, { before, after }: StepRange): Promise<void> {
  for (const size of sizes) {
    if (Math.floor(after / size) === Math.floor(before / size)) return;
    await mergeInto(size, tx, fineTuneId, after);
  }
}

interface StepRange {
  readonly before: number;
  readonly after: number;
}

async function mergeInto(size: number, tx: Transaction, id: string, steps: number): Promise<void> {
  const most = stepsAtOnce / size;
  const first = sql`made.blocks * ${merging}::int`;
  const end = sql`least(made.blocks + ${most}::int, ${Math.floor(steps / size)}::int) * ${merging}::int`;
  const run = sql`${id}::uuid`;
  const range = { run, size: sql`${size / merging}::int`, first, end };
  const parts = size === merging ? stepsOf(range) : blocksOf(range);
  await tx.execute(sql`
    with made as (select ${blocksMade(run, size)} as blocks)
    insert into ${mergedSteps} (fine_tune_id, size, block, finite, loss_sum, loss_min, loss_max,
      gradients, gradient_squares, learning_rate, seconds_sum)
    select ${run}, ${size}::int, block / ${merging}::int, sum(finite), sum(loss_sum), min(loss_min), max(loss_max),
      sum(gradients), sum(gradient_squares), (array_agg(learning_rate order by block desc))[1], sum(seconds_sum)
    from made cross join lateral (${parts}) as part
    group by 3
    -- Of one that has not all of its parts yet, these are still to be made.
    having count(*) = ${merging}::int`);
}

/** In SQL: how many blocks of a size a run has. */
export const blocksMade = (run: SQL, size: number) =>
  sql`(select coalesce(max(block) + 1, 0) from ${mergedSteps} where fine_tune_id = ${run} and size = ${size}::int)`;

/** Blocks `first` to before `end` of a run. */
interface Range {
  readonly run: SQL;
  readonly first: SQL;
  readonly end: SQL;
}

/** In SQL: blocks of a size. */
export const blocksOf = ({ run, size, first, end }: Range & { readonly size: SQL }) => sql`
  select block, finite, loss_sum, loss_min, loss_max, gradients, gradient_squares, learning_rate, seconds_sum
  from ${mergedSteps} where fine_tune_id = ${run} and size = ${size} and block >= ${first} and block < ${end}`;

/** In SQL: steps as blocks of size 1, of which block 0 is the first. */
export const stepsOf = ({ run, first, end }: Range) => sql`
  select step - 1 as block, (loss is not null)::int as finite, loss as loss_sum, loss as loss_min, loss as loss_max,
    (projected_gradient is not null)::int as gradients, projected_gradient * projected_gradient as gradient_squares,
    learning_rate, seconds as seconds_sum
  from ${stepMetrics} where fine_tune_id = ${run} and step > ${first} and step <= ${end}`;
