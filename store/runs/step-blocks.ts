/**
 * Charts of long runs. A chart of a million steps would read a million rows; so steps are merged into blocks as they come, and
 * these into larger ones. A chart reads the largest blocks of which a point has one or more, and what they leave at the ends in
 * smaller ones: for each point no more than eight of them. Blocks are made in the transaction that stores the last of their
 * steps, so they are never wrong.
 */
import { type SQL, sql } from "drizzle-orm";
import { mergedSteps } from "../../schema/block-tables.ts";
import { fineTunes, stepMetrics } from "../../schema/tables.ts";
import type { Database, Transaction } from "../postgres/database.ts";

/** How many blocks of a size, or steps, one of the next has. */
const merging = 8;
/** Steps of a block, from the smallest to the largest. */
const sizes = [8, 64, 512, 4096] as const;
/** Steps that one append merges at most: a long run of an earlier release gets the rest with later ones. */
const stepsAtOnce = 16_384;

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
  await tx.execute(sql`
    with made as (select ${blocksMade(id, size)} as blocks)
    insert into ${mergedSteps} (fine_tune_id, size, block, finite, loss_sum, loss_min, loss_max,
      gradients, gradient_squares, learning_rate, seconds_sum)
    select ${id}::uuid, ${size}::int, block / ${merging}::int, sum(finite), sum(loss_sum), min(loss_min), max(loss_max),
      sum(gradients), sum(gradient_squares), (array_agg(learning_rate order by block desc))[1], sum(seconds_sum)
    from made cross join lateral (${blocksOf(id, size / merging, first, end)}) as part
    group by 3
    -- Of one that has not all of its parts yet, these are still to be made.
    having count(*) = ${merging}::int`);
}

/** In SQL: how many blocks of a size a run has. */
const blocksMade = (id: string, size: number) =>
  sql`(select coalesce(max(block) + 1, 0) from ${mergedSteps} where fine_tune_id = ${id}::uuid and size = ${size}::int)`;

/** In SQL: blocks `first` to before `end`. Those of size 1 are steps, of which block 0 is the first. */
function blocksOf(id: string, size: number, first: SQL, end: SQL): SQL {
  if (size > 1) {
    return sql`select block, finite, loss_sum, loss_min, loss_max, gradients, gradient_squares, learning_rate, seconds_sum
      from ${mergedSteps}
      where fine_tune_id = ${id}::uuid and size = ${size}::int and block >= ${first} and block < ${end}`;
  }
  return sql`select step - 1 as block, (loss is not null)::int as finite, loss as loss_sum, loss as loss_min, loss as loss_max,
      (projected_gradient is not null)::int as gradients, projected_gradient * projected_gradient as gradient_squares,
      learning_rate, seconds as seconds_sum
    from ${stepMetrics} where fine_tune_id = ${id}::uuid and step > ${first} and step <= ${end}`;
}

/**
 * The steps so far, or a part of them, in `points` buckets of equal width; when there are fewer steps than points, one bucket
 * per step. Where a bucket has several steps, its edges are those of blocks, but for the first and the last.
 */
export async function chart(
  database: Database,
  id: string,
  { points, from = 1, to }: ChartOptions,
): Promise<ChartPoint[]> {
  const run = await extentOf(database, id);
  const last = Math.min(to ?? Infinity, run.steps);
  if (last < from) return [];
  const width = Math.max(last - from + 1, points);
  const usable = run.blocks.filter(({ size }) => size * points <= width);
  const parts = cover(from - 1, last, usable).map(({ size, first, end }) => {
    const blocks = blocksOf(id, size, sql`${first}::int`, sql`${end}::int`);
    return sql`select (block + 1) * ${size}::int as step, ${size}::int as count, part.* from (${blocks}) as part`;
  });
  const rows = await database.execute<ChartPoint & Record<string, unknown>>(sql`
    select max(step)::int as step, sum(loss_sum) / nullif(sum(finite), 0) as loss, min(loss_min) as "lossMin",
      max(loss_max) as "lossMax", sqrt(sum(gradient_squares) / nullif(sum(gradients), 0)) as "projectedGradient",
      (array_agg(learning_rate order by step desc))[1] as "learningRate", sum(seconds_sum) / sum(count) as seconds,
      sum(count)::int as count
    from (${sql.join(parts, sql` union all `)}) as parts
    group by (step - ${from}::int)::bigint * ${points}::int / ${width}::int
    order by 1`);
  return [...rows];
}

/** Of a size: how many there are. */
interface Blocks {
  readonly size: number;
  readonly made: number;
}

/** A run's steps, and its blocks, the largest first. */
async function extentOf(database: Database, id: string): Promise<{ steps: number; blocks: Blocks[] }> {
  const largestFirst = sizes.toReversed();
  const made = sql.join(
    largestFirst.map((size) => blocksMade(id, size)),
    sql`, `,
  );
  const [run] = await database.execute<{ steps: number; made: number[] }>(
    sql`select steps_done as steps, jsonb_build_array(${made}) as made from ${fineTunes} where id = ${id}::uuid`,
  );
  if (!run) return { steps: 0, blocks: [] };
  return { steps: run.steps, blocks: largestFirst.map((size, at) => ({ size, made: run.made[at] ?? 0 })) };
}

/** Blocks `first` to before `end`, of a size; of size 1, steps. */
interface Part {
  readonly size: number;
  readonly first: number;
  readonly end: number;
}

/** The steps after `from`, up to `to`, in the largest blocks that are within, and at both ends in smaller ones. */
function cover(from: number, to: number, [largest, ...smaller]: readonly Blocks[]): Part[] {
  if (!largest) return from < to ? [{ size: 1, first: from, end: to }] : [];
  const { size, made } = largest;
  const first = Math.ceil(from / size);
  const end = Math.min(made, Math.floor(to / size));
  if (first >= end) return cover(from, to, smaller);
  return [...cover(from, first * size, smaller), { size, first, end }, ...cover(end * size, to, smaller)];
}
