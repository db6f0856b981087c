/** How often datasets and base models are used: by runs, and by evaluations that were asked for. What has ended counts, too. */
import { type SQL, and, countDistinct, eq, inArray, notInArray, or, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";
import { endedStatuses } from "../schema/completion.ts";
import { modelEvaluations } from "../schema/serving-tables.ts";
import { finalStatuses } from "../schema/states.ts";
import { fineTunes } from "../schema/tables.ts";
import { type Database, isUuid } from "./postgres/database.ts";

export interface Uses {
  readonly fineTunes: number;
  readonly evaluations: number;
  /** Runs and evaluations of these that have not ended. */
  readonly unfinished: number;
}

/** What uses each of these, of all projects, or of one. */
export type UsesOf = (ids: readonly string[], projectId?: string) => Promise<Uses[]>;

/** A run that trains and validates on one dataset is one use. */
export const usesOfDatasets =
  (database: Database): UsesOf =>
  (ids, projectId) => {
    const { datasetId, validationDatasetId, testDatasetId } = fineTunes;
    return uses(database, ids, {
      projectId,
      runs: [datasetId, validationDatasetId, testDatasetId],
      evaluations: modelEvaluations.datasetId,
    });
  };

/** Runs that start from it, and evaluations of it and of their checkpoints. */
export const usesOfModels =
  (database: Database): UsesOf =>
  (ids, projectId) =>
    uses(database, ids, {
      projectId,
      runs: [fineTunes.baseModelId],
      evaluations: modelEvaluations.baseModelId,
    });

interface Places {
  readonly projectId: string | undefined;
  /** Columns of runs, and of evaluations, that name what is used. */
  readonly runs: readonly PgColumn[];
  readonly evaluations: PgColumn;
}

/** Two queries, however many there are. */
async function uses(database: Database, given: readonly string[], places: Places): Promise<Uses[]> {
  const ids = given.filter(isUuid);
  if (ids.length === 0) return given.map(() => ({ fineTunes: 0, evaluations: 0, unfinished: 0 }));
  const { projectId, runs, evaluations } = places;
  const its = (column: PgColumn) => (projectId === undefined ? undefined : eq(column, projectId));
  const named = sql<string>`named.id`;
  const columns = sql.join(
    runs.map((column) => sql`(${column})`),
    sql`, `,
  );
  const ofRuns = await database
    .select({
      id: named,
      all: countDistinct(fineTunes.id),
      open: openOnes(fineTunes.id, notInArray(fineTunes.status, finalStatuses)),
    })
    .from(fineTunes)
    .innerJoin(sql`lateral (values ${columns}) as named (id)`, inArray(named, ids))
    .where(and(its(fineTunes.projectId), or(...runs.map((column) => inArray(column, ids)))))
    .groupBy(named);
  const ofEvaluations = await database
    .select({
      id: evaluations,
      all: countDistinct(modelEvaluations.id),
      open: openOnes(modelEvaluations.id, notInArray(modelEvaluations.status, endedStatuses)),
    })
    .from(modelEvaluations)
    .where(and(its(modelEvaluations.projectId), inArray(evaluations, ids)))
    .groupBy(evaluations);
  return given.map((id) => {
    const run = ofRuns.find((row) => row.id === id);
    const measured = ofEvaluations.find((row) => row.id === id);
    return {
      fineTunes: run?.all ?? 0,
      evaluations: measured?.all ?? 0,
      unfinished: (run?.open ?? 0) + (measured?.open ?? 0),
    };
  });
}

function openOnes(id: PgColumn, isOpen: SQL): SQL<number> {
  return sql<number>`count(distinct ${id}) filter (where ${isOpen})`.mapWith(Number);
}
