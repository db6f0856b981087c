/**
 * What a project has, table by table: what an export writes and an erasure leaves nothing of. A test compares it with the tables
 * of the database, so that a new table cannot be forgotten.
 */
import { mergedSteps, stepBlocks } from "../../schema/block-tables.ts";
import { modelDownloads } from "../../schema/download-tables.ts";
import { runMemory } from "../../schema/memory-tables.ts";
import { type SQL, sql } from "drizzle-orm";
import { type PgTable, getTableConfig } from "drizzle-orm/pg-core";
import { auditEntries } from "../../schema/audit-tables.ts";
import { looseBlobs } from "../../schema/blob-tables.ts";
import { checkpointExports } from "../../schema/export-tables.ts";
import { apiKeys, projectTurns, projects, shares, usageDays } from "../../schema/project-tables.ts";
import { chores, serviceLimits, workerPools } from "../../schema/service-tables.ts";
import {
  aliasMoves,
  aliases,
  completionPieces,
  completions,
  modelEvaluations,
  evaluatedRows,
} from "../../schema/serving-tables.ts";
import { sweeps } from "../../schema/sweep-tables.ts";
import {
  baseModelFiles,
  baseModelNames,
  baseModels,
  checkpoints,
  datasets,
  evaluations,
  events,
  fineTunes,
  foundModels,
  jobs,
  logSegments,
  rowChecks,
  runSpeeds,
  stepMetrics,
  workers,
} from "../../schema/tables.ts";
import { webhookAttempts, webhookDeliveries, webhookEndpoints, webhookMessages } from "../../schema/webhook-tables.ts";

export interface Holding {
  readonly table: PgTable;
  /** In SQL: whether a row, `t`, is of the project. */
  readonly isOf: (projectId: string) => SQL;
  /** Columns that an export leaves out. */
  readonly hidden?: readonly string[];
  /** Why an export has none of it; undefined for what it has. */
  readonly untold?: string;
  /** Rows of one file. */
  readonly atOnce?: number;
}

const own = (projectId: string) => sql`t.project_id = ${projectId}`;
const ofRun = (projectId: string) =>
  sql`t.fine_tune_id in (select id from ${fineTunes} where project_id = ${projectId})`;
const ofCheckpoint = (projectId: string) => sql`t.checkpoint_id in (
  select c.id from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id where r.project_id = ${projectId})`;
const ofEndpoint = (projectId: string) =>
  sql`t.endpoint_id in (select id from ${webhookEndpoints} where project_id = ${projectId})`;

/** With the project itself first. */
export const holdings: readonly Holding[] = [
  { table: projects, isOf: (id) => sql`t.id = ${id}` },
  { table: apiKeys, isOf: own, hidden: ["hash"] },
  { table: usageDays, isOf: own },
  { table: projectTurns, isOf: own, untold: "whose turn is next" },
  { table: datasets, isOf: own },
  { table: sweeps, isOf: own },
  { table: fineTunes, isOf: own, atOnce: 200 },
  { table: checkpoints, isOf: ofRun },
  { table: checkpointExports, isOf: ofCheckpoint },
  { table: logSegments, isOf: ofRun, untold: "the log of each run is a file" },
  { table: stepMetrics, isOf: ofRun, atOnce: 10_000 },
  { table: mergedSteps, isOf: ofRun, untold: "the steps of step_metrics, merged" },
  { table: stepBlocks, isOf: ofRun, untold: "the steps of step_metrics, merged" },
  { table: runMemory, isOf: ofRun },
  { table: evaluations, isOf: ofRun },
  { table: events, isOf: ofRun },
  { table: jobs, isOf: own, untold: "work under way" },
  { table: aliases, isOf: own },
  {
    table: aliasMoves,
    isOf: (id) => sql`t.name in (select name from ${aliases} where project_id = ${id})`,
  },
  { table: modelEvaluations, isOf: own },
  {
    table: evaluatedRows,
    isOf: (id) => sql`t.evaluation_id in (select id from ${modelEvaluations} where project_id = ${id})`,
    atOnce: 1_000,
  },
  { table: completions, isOf: own, atOnce: 100 },
  {
    table: completionPieces,
    isOf: (id) => sql`t.completion_id in (select id from ${completions} where project_id = ${id})`,
  },
  { table: webhookEndpoints, isOf: own, hidden: ["secret", "previous_secret", "previous_until"] },
  { table: webhookMessages, isOf: own },
  { table: webhookDeliveries, isOf: ofEndpoint },
  {
    table: webhookAttempts,
    isOf: (id) => sql`t.delivery_id in (select d.id from ${webhookDeliveries} d
      join ${webhookEndpoints} e on e.id = d.endpoint_id where e.project_id = ${id})`,
  },
  /** What others may read of it, and what it may read of others. */
  {
    table: shares,
    isOf: (id) => sql`(t.project_id = ${id} or ${sharedBy(id)})`,
  },
  /** An erasure leaves what was done to the project itself. */
  { table: auditEntries, isOf: own },
];

/** In SQL: whether a row of shares, `t`, shares something of the project. */
export function sharedBy(projectId: string): SQL {
  return sql`(t.object_id in (select id from ${datasets} where project_id = ${projectId}) or t.object_id in (
    select c.id from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id where r.project_id = ${projectId}))`;
}

/** Tables of no project, and why. */
export const nobodys: readonly (readonly [PgTable, string])[] = [
  [baseModels, "everybody's"],
  [baseModelNames, "everybody's"],
  [baseModelFiles, "everybody's"],
  [foundModels, "everybody's"],
  [modelDownloads, "everybody's"],
  [workers, "everybody's"],
  [workerPools, "everybody's"],
  [chores, "the service's"],
  [serviceLimits, "the service's"],
  [looseBlobs, "hashes of files that are to go"],
  [runSpeeds, "seconds of steps, by the hash of settings"],
  [rowChecks, "made again when it is missing, by the hash of rows: an erasure deletes all"],
];

export function nameOf({ table }: Pick<Holding, "table">): string {
  return getTableConfig(table).name;
}

/** The columns of the primary key, by which pages go. */
export function keyOf({ table }: Holding): string[] {
  const { columns, primaryKeys } = getTableConfig(table);
  const [combined] = primaryKeys;
  return (combined?.columns ?? columns.filter(({ primary }) => primary)).map(({ name }) => name);
}
