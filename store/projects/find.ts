/** What somebody means by a short id or by a name: the beginning of a row's id, as command lines print it, or the whole name. */
import { type SQL, and, desc, eq, inArray, isNull, or, sql } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { modelEvaluations } from "../../schema/serving-tables.ts";
import { sweeps } from "../../schema/sweep-tables.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { beginsWith } from "../pages.ts";
import type { Database } from "../postgres/database.ts";
import { sharedWith } from "./shared.ts";

export type FoundKind = "FINE_TUNE" | "CHECKPOINT" | "DATASET" | "EVALUATION" | "SWEEP";

export interface Finding {
  /** The ids of what the project has and may read whose id begins with `text`, or that is named so: the newest first. */
  find(kind: FoundKind, text: string, limit: number): Promise<string[]>;
}

interface Findable {
  readonly table: PgTable;
  readonly id: PgColumn;
  readonly createdAt: PgColumn;
  /** None where things have no names. */
  readonly name?: PgColumn;
  readonly visible: SQL | undefined;
}

export function findingOf(database: Database, projectId: string): Finding {
  const ownRuns = database.select({ id: fineTunes.id }).from(fineTunes).where(eq(fineTunes.projectId, projectId));
  const isShared = (column: PgColumn, kind: "DATASET" | "CHECKPOINT") =>
    sql`${column} in (${sharedWith(projectId, kind)})`;
  const findable: Readonly<Record<FoundKind, Findable>> = {
    FINE_TUNE: {
      table: fineTunes,
      ...columnsOf(fineTunes),
      name: fineTunes.name,
      visible: eq(fineTunes.projectId, projectId),
    },
    CHECKPOINT: {
      table: checkpoints,
      ...columnsOf(checkpoints),
      visible: or(inArray(checkpoints.fineTuneId, ownRuns), isShared(checkpoints.id, "CHECKPOINT")),
    },
    DATASET: {
      table: datasets,
      ...columnsOf(datasets),
      name: datasets.name,
      visible: and(isNull(datasets.deletedAt), or(eq(datasets.projectId, projectId), isShared(datasets.id, "DATASET"))),
    },
    EVALUATION: {
      table: modelEvaluations,
      ...columnsOf(modelEvaluations),
      visible: eq(modelEvaluations.projectId, projectId),
    },
    SWEEP: { table: sweeps, ...columnsOf(sweeps), name: sweeps.name, visible: eq(sweeps.projectId, projectId) },
  };
  return {
    async find(kind, text, limit) {
      const { table, id, createdAt, name, visible } = findable[kind];
      const meant = or(beginsWith(id, text), name && eq(name, text));
      if (!meant) return [];
      const rows = await database
        .select({ id })
        .from(table)
        .where(and(visible, meant))
        .orderBy(desc(createdAt), desc(id))
        .limit(limit);
      return rows.map((row) => String(row.id));
    },
  };
}

function columnsOf({ id, createdAt }: { readonly id: PgColumn; readonly createdAt: PgColumn }) {
  return { id, createdAt };
}
