/** What holds something that is due, though people may delete it: work on it that goes on, and other projects that may read it. */
import { and, eq, inArray, notInArray, sql } from "drizzle-orm";
import { endedStatuses } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { checkpointExports } from "../../schema/export-tables.ts";
import { shares } from "../../schema/project-tables.ts";
import type { SharedKind } from "../../schema/projects.ts";
import { completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { finalStatuses } from "../../schema/states.ts";
import type { Checkpoint } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Transaction } from "../postgres/database.ts";

const ended: ReadonlySet<string> = new Set([...finalStatuses, ...endedStatuses]);

/** @throws INVALID_STATE for a run or an evaluation that has not ended */
export function refuseUnfinished(noun: string, status: string): void {
  if (ended.has(status)) return;
  throw new SteplogError("INVALID_STATE", `The ${noun} is ${status}. It ends once that is over.`);
}

/** @throws CONFLICT for checkpoints that are answered from, measured, rebuilt or shared; their rows are locked */
export async function refuseUse(tx: Transaction, places: readonly Checkpoint[]): Promise<void> {
  const ids = places.map(({ id }) => id);
  if (ids.length === 0) return;
  await refuseIfShared(tx, "CHECKPOINT", ids);
  const waiting = await Promise.all(
    [completions, modelEvaluations].map((table) =>
      tx.$count(table, and(inArray(table.checkpointId, ids), notInArray(table.status, endedStatuses))),
    ),
  );
  const exporting = await tx.$count(
    checkpointExports,
    and(inArray(checkpointExports.checkpointId, ids), eq(checkpointExports.status, sql`'QUEUED'`)),
  );
  const rebuilding = exporting + places.filter(({ weightsStatus }) => weightsStatus === "QUEUED").length;
  const [asked = 0, measured = 0] = waiting;
  const uses = Object.entries({ completion: asked, evaluation: measured, rebuild: rebuilding })
    .filter(([, count]) => count > 0)
    .map(([noun, count]) => counted(count, noun));
  if (uses.length > 0) throw new SteplogError("CONFLICT", `It is in use by ${uses.join(", ")} under way.`);
}

/** @throws CONFLICT */
export async function refuseIfShared(tx: Transaction, kind: SharedKind, ids: readonly string[]): Promise<void> {
  const count = await tx.$count(shares, and(eq(shares.kind, kind), inArray(shares.objectId, [...ids])));
  if (count === 0) return;
  const whom = count === 1 ? "another project" : `${count} other projects`;
  throw new SteplogError("CONFLICT", `It is shared with ${whom}. Take that back, or delete it by hand.`);
}
