/**
 * Ends what is due: by the deletions that people ask for, one transaction each, so that whoever dies within one leaves all of the
 * object or nothing. Stricter than these, since nobody looks: what is used or shared stays. Then its row says by what it is held,
 * and it is looked at again later.
 */
import { type SQL, and, asc, eq, inArray, isNull, lte, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { checkpointExports } from "../../schema/export-tables.ts";
import { modelEvaluations } from "../../schema/serving-tables.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { formName, formOf } from "../../schema/weights-form.ts";
import type { Database, Transaction } from "../postgres/database.ts";
import { secondsFromStart } from "../postgres/times.ts";
import { formOfRow } from "../runs/exports.ts";
import { remove as removeEvaluation } from "../serving/evaluations.ts";
import { deleteDataset } from "./datasets.ts";
import { deleteCheckpoint, deleteRun } from "./runs.ts";
import { refuseIfShared, refuseUnfinished, refuseUse } from "./uses.ts";
import { dropExport, dropWeights } from "./weights.ts";

/** Something whose time has come. */
export interface Due {
  readonly kind: "FINE_TUNE" | "CHECKPOINT" | "DATASET" | "EVALUATION" | "WEIGHTS" | "EXPORT";
  /** Of an export, its checkpoint's. */
  readonly id: string;
  /** As its owner calls it, or the form of an export; empty for what has no name. */
  readonly name: string;
  readonly expiresAt: Date;
}

export interface DueReport {
  /** What ended, or would end. */
  readonly ended: readonly Due[];
  /** What is due but held, and by what. */
  readonly held: readonly (Due & { readonly by: string })[];
}

export interface EndOptions {
  /** Whether to change nothing, and say what would end now. Each deletion is made, and taken back. */
  readonly dryRun: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Of each kind at once. */
const atOnce = 100;
/** Of each kind in a dry run. */
const mostListed = 500;
/** How long what is held is left alone. */
const againS = 600;

/** Ends what is due, until nothing is or the signal says so. */
export async function endDue(database: Database, { dryRun, signal }: EndOptions): Promise<DueReport> {
  const report = { ended: new Array<Due>(), held: new Array<Due & { by: string }>() };
  for (const kind of Object.values(kinds)) {
    for (;;) {
      const batch = await kind.due(database, { all: dryRun, limit: dryRun ? mostListed : atOnce });
      for (const due of batch) {
        if (signal?.aborted) return report;
        const outcome = await end(database, kind, due, dryRun);
        if (outcome === "ended") report.ended.push(due);
        else if (outcome !== "stays") report.held.push({ ...due, by: outcome.by });
      }
      if (dryRun || batch.length < atOnce) break;
    }
  }
  return report;
}

type Outcome = "ended" | "stays" | { readonly by: string };

/** Takes a transaction back that made what was asked of it. */
class TakenBack extends Error {}

async function end(database: Database, kind: Kind, due: Due, dryRun: boolean): Promise<Outcome> {
  try {
    await database.transaction(async (tx) => {
      const isGone = await kind.end(tx, due);
      // Also what was deleted on the way to something that has gone or was moved meanwhile.
      if (!isGone || dryRun) throw new TakenBack(isGone ? "ended" : "stays");
    });
    return "ended";
  } catch (error) {
    if (error instanceof TakenBack) return error.message === "ended" ? "ended" : "stays";
    const isHeld = error instanceof SteplogError && (error.code === "CONFLICT" || error.code === "INVALID_STATE");
    if (!isHeld) throw error;
    if (!dryRun) await kind.hold?.(database, due.id, error.message);
    return { by: error.message };
  }
}

// Kinds

interface Kind {
  due(database: Database, options: { readonly all: boolean; readonly limit: number }): Promise<Due[]>;
  /** False for what has gone, or ends at another time now. @throws CONFLICT or INVALID_STATE for what is in use */
  end(tx: Transaction, due: Due): Promise<boolean>;
  hold?(database: Database, id: string, by: string): Promise<void>;
}

type ExpiringTable = typeof fineTunes | typeof checkpoints | typeof datasets | typeof modelEvaluations;

/** Thrown within a deletion, once its row is locked: somebody has moved its end. */
function unlessMoved(row: { readonly expiresAt: Date | null }, { expiresAt }: Due): void {
  if (row.expiresAt?.getTime() !== expiresAt.getTime()) throw new TakenBack("stays");
}

/** In the order in which they may go: what is about something before that, runs before their datasets. */
const kinds: Readonly<Record<Due["kind"], Kind>> = {
  EVALUATION: {
    ...ofTable("EVALUATION", modelEvaluations),
    end: (tx, due) =>
      removeEvaluation(tx, due.id, async (row) => {
        unlessMoved(row, due);
        refuseUnfinished("evaluation", row.status);
      }),
  },
  EXPORT: {
    due: dueExports,
    async end(tx, due) {
      const form = formOf(due.name);
      return form !== null && dropExport(tx, { checkpointId: due.id, form }, (row) => unlessMoved(row, due));
    },
  },
  WEIGHTS: {
    due: dueWeights,
    end: (tx, due) =>
      dropWeights(tx, due.id, ({ weightsExpiresAt }) => unlessMoved({ expiresAt: weightsExpiresAt }, due)),
  },
  CHECKPOINT: {
    ...ofTable("CHECKPOINT", checkpoints),
    end: (tx, due) =>
      deleteCheckpoint(tx, due.id, async (_run, places) => {
        for (const place of places) unlessMoved(place, due);
        await refuseUse(tx, places);
      }),
  },
  FINE_TUNE: {
    ...ofTable("FINE_TUNE", fineTunes, sql`${fineTunes.name}`),
    end: (tx, due) =>
      deleteRun(tx, due.id, {
        cancel: false,
        async unless(run, places) {
          unlessMoved(run, due);
          refuseUnfinished("fine-tune", run.status);
          await refuseUse(tx, places);
        },
      }),
  },
  DATASET: {
    ...ofTable("DATASET", datasets, sql`${datasets.name}`, isNull(datasets.deletedAt)),
    end: (tx, due) =>
      deleteDataset(tx, due.id, async (dataset) => {
        unlessMoved(dataset, due);
        await refuseIfShared(tx, "DATASET", [dataset.id]);
      }),
  },
};

/** The queries of a table with the columns of an end. */
function ofTable(
  kind: Due["kind"],
  table: ExpiringTable,
  name: SQL = sql`''`,
  there?: SQL,
): Pick<Kind, "due" | "hold"> {
  const { id, expiresAt, expiryTryAt } = table;
  return {
    async due(database, { all, limit }) {
      const isFree = all ? undefined : or(isNull(expiryTryAt), lte(expiryTryAt, sql`now()`));
      const rows = await database
        .select({ id, name: sql<string>`${name}`, expiresAt })
        .from(table)
        .where(and(lte(expiresAt, sql`now()`), isFree, there))
        .orderBy(asc(expiresAt), asc(id))
        .limit(limit);
      return rows.flatMap((row) => (row.expiresAt ? [{ ...row, kind, expiresAt: row.expiresAt }] : []));
    },
    async hold(database, held, by) {
      const again = secondsFromStart(againS);
      await database.update(table).set({ expiryHeldBy: by, expiryTryAt: again }).where(eq(id, held));
    },
  };
}

const settled = ["STORED", "FAILED"] as const;

async function dueExports(database: Database, { limit }: { readonly limit: number }): Promise<Due[]> {
  const { expiresAt, status } = checkpointExports;
  const rows = await database
    .select()
    .from(checkpointExports)
    .where(and(lte(expiresAt, sql`now()`), inArray(status, [...settled])))
    .orderBy(asc(expiresAt))
    .limit(limit);
  return rows.flatMap((row) => {
    const { checkpointId: id, expiresAt: at } = row;
    return at ? [{ kind: "EXPORT" as const, id, name: formName(formOfRow(row)), expiresAt: at }] : [];
  });
}

async function dueWeights(database: Database, { limit }: { readonly limit: number }): Promise<Due[]> {
  const { id, weightsExpiresAt: expiresAt, weightsStatus } = checkpoints;
  const rows = await database
    .select({ id, expiresAt })
    .from(checkpoints)
    .where(and(lte(expiresAt, sql`now()`), inArray(weightsStatus, [...settled])))
    .orderBy(asc(expiresAt))
    .limit(limit);
  return rows.flatMap((row) =>
    row.expiresAt ? [{ kind: "WEIGHTS" as const, id: row.id, name: "", expiresAt: row.expiresAt }] : [],
  );
}
