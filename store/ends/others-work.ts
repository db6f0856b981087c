/** What keeps a checkpoint, or a whole project, from going: work of other projects that has not ended and needs what was shared. */
import { type SQL, sql } from "drizzle-orm";
import { endedStatuses } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { finalStatuses } from "../../schema/states.ts";
import { type Checkpoint, type FineTune, checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Transaction } from "../postgres/database.ts";

/** Of a project that is to be erased. @throws CONFLICT with the number of each: nobody may name what another project has */
export async function refuseIfOthersNeed(tx: Transaction, projectId: string): Promise<void> {
  const places = checkpointsOf(projectId);
  const rows = datasetsOf(projectId);
  const parts = [
    await countedOf(tx, unfinishedRuns(projectId, rows, places), "fine-tune"),
    await countedOf(tx, unfinishedEvaluations(projectId, places, rows), "evaluation"),
    await countedOf(tx, unfinishedRequests(projectId, places), "request"),
  ].flat();
  if (parts.length === 0) return;
  const message = `Other projects still need what it shared with them: ${parts.join(", ")}. Wait until they have ended, or cancel them.`;
  throw new SteplogError("CONFLICT", message);
}

/** Of checkpoints of a run that are to be deleted. @throws CONFLICT, likewise */
export async function refuseIfOthersAsk(tx: Transaction, run: FineTune, places: readonly Checkpoint[]): Promise<void> {
  if (places.length === 0) return;
  const ids = sql`${places.map(({ id }) => id)}`;
  const parts = [
    await countedOf(tx, unfinishedEvaluations(run.projectId, ids), "evaluation"),
    await countedOf(tx, unfinishedRequests(run.projectId, ids), "request"),
  ].flat();
  if (parts.length === 0) return;
  const advice = "Wait until they have ended; what is shared no longer gets no new ones";
  throw new SteplogError("CONFLICT", `Other projects still need it: ${parts.join(", ")}. ${advice}.`);
}

async function countedOf(tx: Transaction, which: SQL, noun: string): Promise<string[]> {
  const [row] = await tx.execute<{ count: number }>(sql`select count(*)::int as count from (${which}) as found`);
  return row && row.count > 0 ? [counted(row.count, noun)] : [];
}

const datasetsOf = (id: string) => sql`(select id from ${datasets} where project_id = ${id})`;

const checkpointsOf = (id: string) =>
  sql`(select c.id from ${checkpoints} c join ${fineTunes} p on p.id = c.fine_tune_id where p.project_id = ${id})`;

function unfinishedRuns(id: string, rows: SQL, places: SQL): SQL {
  return sql`select from ${fineTunes} r where r.project_id <> ${id} and r.status not in ${finalStatuses} and (
    r.dataset_id in ${rows} or r.validation_dataset_id in ${rows} or r.test_dataset_id in ${rows}
    or r.from_checkpoint_id in ${places})`;
}

function unfinishedEvaluations(id: string, places: SQL, rows?: SQL): SQL {
  const onRows = rows ? sql`or e.dataset_id in ${rows}` : sql``;
  return sql`select from ${modelEvaluations} e where e.project_id <> ${id} and e.status not in ${endedStatuses}
    and (e.checkpoint_id in ${places} ${onRows})`;
}

function unfinishedRequests(id: string, places: SQL): SQL {
  return sql`select from ${completions} a where a.project_id <> ${id} and a.status not in ${endedStatuses}
    and a.checkpoint_id in ${places}`;
}
