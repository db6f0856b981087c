/**
 * Every model that can answer with text, under the names that requests give: aliases, base models, and of each run its best
 * checkpoint and its last one.
 */
import { type SQL, sql } from "drizzle-orm";
import { scoresOf } from "../../schema/best-evaluation.ts";
import { maskedFamilies } from "../../schema/model-kind.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { aliases } from "../../schema/serving-tables.ts";
import { baseModels, checkpoints, evaluations, fineTunes } from "../../schema/tables.ts";
import { type Database, isUuid } from "../postgres/database.ts";
import { sharedWith } from "../projects/shared.ts";

/** Either a name, of an alias or of a base model, or a checkpoint. */
export type ModelKey = { readonly name: string } | { readonly checkpointId: string };
export type ListedModel = ModelKey & { readonly at: Date };

export interface Models {
  /**
   * Aliases, base models, checkpoints that others share, each kind with the latest first; then the checkpoints of runs, the
   * latest run first. Those after a key, none if there is no such model.
   */
  list(page: { readonly after?: ModelKey | undefined; readonly limit: number }): Promise<ListedModel[]>;
}

/** Those of one project, with what others share with it. */
export function modelsOf(database: Database, projectId = defaultProjectId): Models {
  return {
    async list({ after, limit }) {
      const place = after === undefined ? start : await placeOf(database, after, projectId);
      if (place === null) return [];
      const first = place.kind === ofRuns ? [] : await few(database, place, { projectId, limit });
      if (first.length === limit) return first;
      const from = place.kind === ofRuns ? place : null;
      return [...first, ...(await checkpointsOfRuns(database, from, { projectId, limit: limit - first.length }))];
    },
  };
}

/** Kinds of models, in the order of the list. */
const [ofAliases, ofBases, ofShares, ofRuns] = [0, 1, 2, 3] as const;

/** Where a model stands in the list. */
type Place = PlaceOfFew | PlaceOfRun;

interface PlaceOfFew {
  readonly kind: typeof ofAliases | typeof ofBases | typeof ofShares;
  readonly seconds: number;
  readonly key: string;
}

interface PlaceOfRun {
  readonly kind: typeof ofRuns;
  /** When the run was created, as Postgres writes it: dates of JavaScript have no microseconds. */
  readonly at: string;
  readonly run: string;
  readonly entries: number;
}

/** Before everything: numbers of seconds are positive. */
const start: PlaceOfFew = { kind: ofAliases, seconds: Number.POSITIVE_INFINITY, key: "" };

interface Part {
  readonly projectId: string;
  readonly limit: number;
}

async function few(database: Database, { kind, seconds, key }: PlaceOfFew, { projectId, limit }: Part) {
  const rows = await database.execute<{ kind: number; key: string; seconds: number }>(sql`
    with listed as (${named(projectId)} union all ${shared(projectId)})
    select kind, key, seconds from listed where (kind, -seconds, key) > (${kind}, ${-seconds}::float8, ${key})
    order by kind, -seconds, key limit ${limit}`);
  return rows.map((row) => ({
    ...(row.kind === ofShares ? { checkpointId: row.key } : { name: row.key }),
    at: new Date(row.seconds * 1000),
  }));
}

/**
 * Of each run, by the index of runs: so that a page costs the same however many runs there are. The same checkpoint may be the
 * last and the best.
 */
async function checkpointsOfRuns(database: Database, from: PlaceOfRun | null, { projectId, limit }: Part) {
  const isAfter = from
    ? sql`(r.created_at, r.id) <= (${from.at}::timestamptz, ${from.run}::uuid) and
        (r.created_at, r.id, c.entries) < (${from.at}::timestamptz, ${from.run}::uuid, ${from.entries}::int)`
    : sql`true`;
  const rows = await database.execute<{ id: string; seconds: number }>(sql`
    select c.id, ${secondsOf(sql`c.created_at`)} as seconds
    from ${fineTunes} r join ${baseModels} m on m.id = r.base_model_id
    cross join lateral (
      (select id, created_at, entries from ${checkpoints} where fine_tune_id = r.id order by entries desc limit 1)
      union
      (select id, created_at, entries from ${checkpoints} where fine_tune_id = r.id and step = (${bestStep})
       order by entries desc limit 1)
    ) c where r.project_id = ${projectId} and ${isCausal} and ${isAfter}
    order by r.created_at desc, r.id desc, c.entries desc limit ${limit}`);
  return rows.map(({ id, seconds }) => ({ checkpointId: id, at: new Date(seconds * 1000) }));
}

const secondsOf = (at: SQL) => sql`extract(epoch from ${at})::float8`;

const isCausal = sql`m.family not in (${sql.join(
  maskedFamilies.map((family) => sql`${family}`),
  sql`, `,
)})`;

/** An alias by the name that clients know: what follows the id of its project (storedName of projects/names.ts). */
const named = (projectId: string) => sql`
  select ${sql.raw(String(ofAliases))} as kind, regexp_replace(a.name, '^.*/', '') as key, ${secondsOf(sql`a.updated_at`)} as seconds
  from ${aliases} a join ${baseModels} m on m.id = a.base_model_id
  where a.project_id = ${projectId} and ${isCausal}
  union all
  select ${sql.raw(String(ofBases))}, m.name, ${secondsOf(sql`m.created_at`)} from ${baseModels} m where ${isCausal}`;

/** The scores that a metric compares, as `isBetter` does (schema/best-evaluation.ts); a test holds the two together. */
const columns = { f1: sql`f1`, accuracy: sql`accuracy`, exactMatch: sql`exact_match` };
const scoreAt = (index: number) => {
  const cases = Object.entries(scoresOf).flatMap(([metric, scores]) => {
    const score = scores[index];
    return score === undefined ? [] : [sql`when ${metric} then ${columns[score]}`];
  });
  return sql`case coalesce(r.hyperparameters ->> 'bestMetric', 'AUTO') ${sql.join(cases, sql` `)} end`;
};
const isFinite = sql`loss not in ('NaN', 'Infinity', '-Infinity')`;
const ifFinite = (value: SQL) => sql`case when ${isFinite} then ${value} end`;

/** Of the best evaluation of run r. Those that are not finite have nothing to compare, and come last. */
const bestStep = sql`
  select step from ${evaluations} where fine_tune_id = r.id and kind = 'VALIDATION'
  order by ${ifFinite(scoreAt(0))} desc nulls last, ${ifFinite(scoreAt(1))} desc nulls last,
    ${ifFinite(sql`loss`)}, entries limit 1`;

const shared = (projectId: string) => sql`
  select ${sql.raw(String(ofShares))}, c.id::text, ${secondsOf(sql`c.created_at`)}
  from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id join ${baseModels} m on m.id = r.base_model_id
  where c.id in (${sharedWith(projectId, "CHECKPOINT")}) and ${isCausal}`;

/** Also of a checkpoint that has become neither the best nor the last since it was listed. */
async function placeOf(database: Database, key: ModelKey, projectId: string): Promise<Place | null> {
  if ("name" in key) {
    const [found] = await database.execute<{ kind: 0 | 1; seconds: number; key: string }>(
      sql`select kind, seconds, key from (${named(projectId)}) n where key = ${key.name} order by kind limit 1`,
    );
    return found ? { ...found } : null;
  }
  if (!isUuid(key.checkpointId)) return null;
  const [found] = await database.execute<PlaceOfCheckpoint>(sql`
    select r.project_id as project, r.created_at::text as at, r.id as run, c.entries, ${secondsOf(sql`c.created_at`)} as seconds
    from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id where c.id = ${key.checkpointId}`);
  if (!found) return null;
  const { project, at, run, entries, seconds } = found;
  return project === projectId
    ? { kind: ofRuns, at, run, entries }
    : { kind: ofShares, seconds, key: key.checkpointId.toLowerCase() };
}

interface PlaceOfCheckpoint extends Record<string, unknown> {
  readonly project: string;
  readonly at: string;
  readonly run: string;
  readonly entries: number;
  readonly seconds: number;
}
