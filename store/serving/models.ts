/**
 * Every model that can answer with text, under the names that requests give: aliases, base models, and of each run its best
 * checkpoint and its last one. One statement, whatever there is.
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
  /** Aliases, then base models, then checkpoints; the latest first. Those after a key, none if there is no such model. */
  list(page: { readonly after?: ModelKey | undefined; readonly limit: number }): Promise<ListedModel[]>;
}

/** Those of one project, with what others share with it. */
export function modelsOf(database: Database, projectId = defaultProjectId): Models {
  return {
    async list({ after, limit }) {
      const rows = await database.execute<{ kind: number; key: string; seconds: number }>(sql`
        with listed as (${named(projectId)} union all ${checkpointsOf(projectId)})
        select kind, key, seconds from listed
        ${after ? sql`where (kind, -seconds, key) > (${placeOf(after, projectId)})` : sql``}
        order by kind, -seconds, key limit ${limit}`);
      return rows.map(({ kind, key, seconds }) => ({
        ...(kind === checkpointKind ? { checkpointId: key } : { name: key }),
        at: new Date(seconds * 1000),
      }));
    },
  };
}

const checkpointKind = 2;

const secondsOf = (at: SQL) => sql`extract(epoch from ${at})::float8`;

const isCausal = sql`m.family not in (${sql.join(
  maskedFamilies.map((family) => sql`${family}`),
  sql`, `,
)})`;

/** An alias by the name that clients know: what follows the id of its project (storedName of projects/names.ts). */
const named = (projectId: string) => sql`
  select 0 as kind, regexp_replace(a.name, '^.*/', '') as key, ${secondsOf(sql`a.updated_at`)} as seconds
  from ${aliases} a join ${baseModels} m on m.id = a.base_model_id
  where a.project_id = ${projectId} and ${isCausal}
  union all
  select 1, m.name, ${secondsOf(sql`m.created_at`)} from ${baseModels} m where ${isCausal}`;

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

/** The same checkpoint may be the last and the best. */
const checkpointsOf = (projectId: string) => sql`
  select ${sql.raw(String(checkpointKind))}, c.id::text, ${secondsOf(sql`c.created_at`)}
  from ${fineTunes} r join ${baseModels} m on m.id = r.base_model_id
  cross join lateral (
    (select id, created_at from ${checkpoints} where fine_tune_id = r.id order by entries desc limit 1)
    union
    (select id, created_at from ${checkpoints} where fine_tune_id = r.id and step = (${bestStep})
     order by entries desc limit 1)
  ) c where r.project_id = ${projectId} and ${isCausal}
  union all
  select ${sql.raw(String(checkpointKind))}, c.id::text, ${secondsOf(sql`c.created_at`)}
  from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id join ${baseModels} m on m.id = r.base_model_id
  where c.id in (${sharedWith(projectId, "CHECKPOINT")}) and ${isCausal}`;

/** Also of a checkpoint that has become neither the best nor the last since it was listed. */
function placeOf(key: ModelKey, projectId: string): SQL {
  if ("name" in key)
    return sql`select kind, -seconds, key from (${named(projectId)}) n where key = ${key.name} order by kind limit 1`;
  const id = isUuid(key.checkpointId) ? key.checkpointId : null;
  const place = sql`${checkpointKind}::int, -${secondsOf(sql`created_at`)}, id::text`;
  return sql`select ${place} from ${checkpoints} where id = ${id}::uuid`;
}
