/**
 * Charts of long runs. A chart of a million steps would read a million rows; steps that are merged into blocks as they come
 * are a sixty-fourth of that. Blocks are made in the transaction that stores the last of their steps, so they are never wrong.
 */
import { type SQL, sql } from "drizzle-orm";
import { stepBlocks } from "../../schema/block-tables.ts";
import { fineTunes, stepMetrics } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";

/** Steps of a block: few enough that a chart of 500 points needs blocks only where it would be slow without. */
export const blockSteps = 64;
/** Blocks that one append makes at most: a long run of an earlier release gets the rest with later ones. */
const blocksAtOnce = 256;

/** Steps of a chart, merged: losses are null when no step of the bucket had a finite one. */
export interface ChartPoint {
  /** Last step of the bucket. */
  readonly step: number;
  readonly loss: number | null;
  readonly lossMin: number | null;
  readonly lossMax: number | null;
  /** Root mean square; null when no step of the bucket had a finite one. */
  readonly projectedGradient: number | null;
  /** Of the last step. */
  readonly learningRate: number;
  /** Mean duration of a step. */
  readonly seconds: number;
  readonly count: number;
}

/** Which steps a chart shows, both included. */
export interface ChartOptions {
  readonly points: number;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** Makes the blocks that are whole since the steps after `before` were stored, and those that are missing before them. */
export async function mergeSteps(tx: Transaction, fineTuneId: string, { before, after }: StepRange): Promise<void> {
  const whole = Math.floor(after / blockSteps);
  if (whole === Math.floor(before / blockSteps)) return;
  await tx.execute(sql`
    with made as (
      select coalesce(max(block) + 1, 0) as blocks from ${stepBlocks} where fine_tune_id = ${fineTuneId}::uuid
    )
    insert into ${stepBlocks} (fine_tune_id, block, finite, loss_sum, loss_min, loss_max,
      gradients, gradient_squares, learning_rate, seconds_sum)
    select fine_tune_id, (step - 1) / ${blockSteps}::int, count(loss), sum(loss), min(loss), max(loss),
      count(projected_gradient), sum(projected_gradient * projected_gradient),
      (array_agg(learning_rate order by step desc))[1], sum(seconds)
    from ${stepMetrics}, made
    where fine_tune_id = ${fineTuneId}::uuid
      and step > made.blocks * ${blockSteps}::int
      and step <= least(made.blocks + ${blocksAtOnce}::int, ${whole}::int) * ${blockSteps}::int
    group by 1, 2`);
}

interface StepRange {
  readonly before: number;
  readonly after: number;
}

/**
 * The steps so far, or a part of them, in `points` buckets of equal width; when there are fewer steps than points, one bucket
 * per step. Where a bucket has several blocks, its edges are those of blocks, but for the first and the last.
 */
export async function chart(
  database: Database,
  id: string,
  { points, from = 1, to }: ChartOptions,
): Promise<ChartPoint[]> {
  const last = sql`least(coalesce(${to ?? null}::int, steps_done), steps_done)`;
  const whole = sql`(select coalesce(max(block) + 1, 0) from ${stepBlocks} where fine_tune_id = ${id}::uuid)`;
  const rows = await database.execute<ChartPoint & Record<string, unknown>>(sql`
    with run as (
      select ${from}::int as first, ${last} as last, greatest(${last} - ${from}::int + 1, ${points}::int) as width,
        (${from}::int + ${blockSteps - 2}::int) / ${blockSteps}::int * ${blockSteps}::int as low,
        case when ${last} - ${from}::int + 1 >= ${2 * blockSteps * points}::int
          then least(${whole}, ${last} / ${blockSteps}::int) * ${blockSteps}::int else 0 end as high
      from ${fineTunes} where id = ${id}::uuid
    ), edges as (
      -- Steps above low, up to high, come in blocks.
      select first, last, width, case when high > low then low else first - 1 end as low,
        case when high > low then high else first - 1 end as high
      from run
    ), parts as (
      select (block + 1) * ${blockSteps}::int as step, ${blockSteps}::int as count, finite, loss_sum, loss_min, loss_max,
        gradients, gradient_squares, learning_rate, seconds_sum
      from ${stepBlocks}, edges
      where fine_tune_id = ${id}::uuid and block >= low / ${blockSteps}::int and block < high / ${blockSteps}::int
      union all
      ${oneByOne(id, sql`step >= first and step <= low`)}
      union all
      ${oneByOne(id, sql`step > high and step <= last`)}
    )
    select max(step)::int as step, sum(loss_sum) / nullif(sum(finite), 0) as loss, min(loss_min) as "lossMin",
      max(loss_max) as "lossMax", sqrt(sum(gradient_squares) / nullif(sum(gradients), 0)) as "projectedGradient",
      (array_agg(learning_rate order by step desc))[1] as "learningRate", sum(seconds_sum) / sum(count) as seconds,
      sum(count)::int as count
    from parts, edges
    group by (step - first)::bigint * ${points}::int / width
    order by 1`);
  return [...rows];
}

/** Steps as blocks of one. */
const oneByOne = (id: string, which: SQL) => sql`
  select step, 1, (loss is not null)::int, loss, loss, loss, (projected_gradient is not null)::int,
    projected_gradient * projected_gradient, learning_rate, seconds
  from ${stepMetrics}, edges where fine_tune_id = ${id}::uuid and ${which}`;
