/**
 * Charts of runs, of many in two queries. A chart reads the largest blocks (step-blocks.ts) of which a point has one or more, and
 * what they leave at the ends in smaller ones: for each point no more than eight of them, however long the run.
 */
import { type SQL, sql } from "drizzle-orm";
import { fineTunes } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { blocksMade, blocksOf, sizes, stepsOf } from "./step-blocks.ts";

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

/** Of which run, and which steps it shows, both included. */
export interface ChartRequest {
  readonly id: string;
  readonly points: number;
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/**
 * In the order of the requests: the steps so far, or a part of them, in `points` buckets of equal width; when there are fewer
 * steps than points, one bucket per step. Where a bucket has several steps, its edges are those of blocks, but for the first and
 * the last. An unknown run has no points.
 */
export async function charts(database: Database, requests: readonly ChartRequest[]): Promise<ChartPoint[][]> {
  const runs = await extentsOf(database, requests);
  const parts = requests.flatMap((request, at) => {
    const run = runs.get(request.id);
    return run ? partsOf(request, run).map((part) => ({ at, ...part })) : [];
  });
  const answers: ChartPoint[][] = requests.map(() => []);
  for (const { at, ...point } of await pointsOf(database, parts)) answers[at]?.push(point);
  return answers;
}

/** A run's steps so far, and how many blocks it has, those of the largest size first. */
interface Extent {
  readonly steps: number;
  readonly blocks: readonly Blocks[];
}

interface Blocks {
  readonly size: number;
  readonly made: number;
}

const largestFirst = sizes.toReversed();

async function extentsOf(database: Database, requests: readonly ChartRequest[]): Promise<ReadonlyMap<string, Extent>> {
  const ids = [...new Set(requests.map(({ id }) => id).filter(isUuid))];
  if (ids.length === 0) return new Map();
  const counts = largestFirst.map((size) => blocksMade(sql`${fineTunes.id}`, size));
  const rows = await database.execute<{ id: string; steps: number; made: number[] }>(sql`
    select id, steps_done as steps, jsonb_build_array(${sql.join(counts, sql`, `)}) as made
    from ${fineTunes} where id = any(${sql.param(`{${ids.join(",")}}`)}::uuid[])`);
  return new Map(
    rows.map(({ id, steps, made }) => [
      id,
      { steps, blocks: largestFirst.map((size, at) => ({ size, made: made[at] ?? 0 })) },
    ]),
  );
}

/** Blocks `first` to before `end`, of a size; of size 1, steps. */
interface Range {
  readonly size: number;
  readonly first: number;
  readonly end: number;
}

/** A range of a run, and the buckets that it goes into. */
interface Part extends Range {
  readonly id: string;
  readonly from: number;
  readonly points: number;
  readonly width: number;
}

function partsOf({ id, points, from = 1, to = Infinity }: ChartRequest, { steps, blocks }: Extent): Part[] {
  const last = Math.min(to, steps);
  if (last < from) return [];
  const width = Math.max(last - from + 1, points);
  const usable = blocks.filter(({ size }) => size * points <= width);
  return cover(from - 1, last, usable).map((range) => ({ id, from, points, width, ...range }));
}

/** The steps after `from`, up to `to`, in the largest blocks that are within, and at both ends in smaller ones. */
function cover(from: number, to: number, [largest, ...smaller]: readonly Blocks[]): Range[] {
  if (!largest) return from < to ? [{ size: 1, first: from, end: to }] : [];
  const { size, made } = largest;
  const first = Math.ceil(from / size);
  const end = Math.min(made, Math.floor(to / size));
  if (first >= end) return cover(from, to, smaller);
  return [...cover(from, first * size, smaller), { size, first, end }, ...cover(end * size, to, smaller)];
}

/**
 * Each part by itself (offset 0): joined with the tables, they could have one read from end to end. The learning rate is that of the
 * greatest step: an aggregate with an order of its own would have all blocks sorted.
 */
async function pointsOf(database: Database, parts: readonly ({ at: number } & Part)[]) {
  if (parts.length === 0) return [];
  const range = { run: sql`part.id`, size: sql`part.size`, first: sql`part.first`, end: sql`part."end"` };
  const read = (which: SQL, blocks: SQL) => sql`
    select part.at, part."from", part.points, part.width, (block + 1) * part.size as step, part.size as count, finite,
      loss_sum, loss_min, loss_max, gradients, gradient_squares, learning_rate, seconds_sum
    from part cross join lateral (${blocks} offset 0) as block
    where ${which}`;
  return database.execute<{ at: number } & ChartPoint & Record<string, unknown>>(sql`
    with part as (
      select * from jsonb_to_recordset(${JSON.stringify(parts)}::text::jsonb)
        as part(at int, id uuid, "from" int, points int, width int, size int, first int, "end" int)
    )
    select at, max(step)::int as step, sum(loss_sum) / nullif(sum(finite), 0) as loss, min(loss_min) as "lossMin",
      max(loss_max) as "lossMax", sqrt(sum(gradient_squares) / nullif(sum(gradients), 0)) as "projectedGradient",
      (max(array[step, learning_rate]))[2] as "learningRate", sum(seconds_sum) / sum(count) as seconds,
      sum(count)::int as count
    from (${read(sql`part.size > 1`, blocksOf(range))} union all ${read(sql`part.size = 1`, stepsOf(range))}) as blocks
    group by at, (step - "from")::bigint * points / width
    order by 1, 2`);
}
