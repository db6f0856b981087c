/** What keeps a project from being erased: work of other projects that has not ended and needs what it shared with them. */
import { type SQL, sql } from "drizzle-orm";
import { completionStatuses, completionTransitions } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { modelEvaluations } from "../../schema/serving-tables.ts";
import { fineTuneStatuses, isFinal } from "../../schema/states.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import { counted } from "../../schema/units.ts";
import type { Transaction } from "../postgres/database.ts";

const endedRuns = fineTuneStatuses.filter(isFinal);
const endedEvaluations = completionStatuses.filter((status) => completionTransitions[status].length === 0);

/** @throws CONFLICT with the number of each: nobody may name what another project has */
export async function refuseIfOthersNeed(tx: Transaction, projectId: string): Promise<void> {
  const runs = await countOf(tx, unfinishedRuns(projectId));
  const evaluations = await countOf(tx, unfinishedEvaluations(projectId));
  const parts = [
    ...(runs > 0 ? [counted(runs, "fine-tune")] : []),
    ...(evaluations > 0 ? [counted(evaluations, "evaluation")] : []),
  ];
  if (parts.length === 0) return;
  const message = `Other projects still need what it shared with them: ${parts.join(" and ")}. Wait until they have ended, or cancel them.`;
  throw new SteplogError("CONFLICT", message);
}

async function countOf(tx: Transaction, which: SQL): Promise<number> {
  const [row] = await tx.execute<{ count: number }>(sql`select count(*)::int as count from (${which}) as found`);
  return row?.count ?? 0;
}

const datasetsOf = (id: string) => sql`select id from ${datasets} where project_id = ${id}`;

function unfinishedRuns(id: string): SQL {
  return sql`select from ${fineTunes} r where r.project_id <> ${id} and r.status not in ${endedRuns} and (
    r.dataset_id in (${datasetsOf(id)}) or r.validation_dataset_id in (${datasetsOf(id)})
    or r.test_dataset_id in (${datasetsOf(id)}) or r.from_checkpoint_id in (
      select c.id from ${checkpoints} c join ${fineTunes} p on p.id = c.fine_tune_id where p.project_id = ${id}))`;
}

function unfinishedEvaluations(id: string): SQL {
  return sql`select from ${modelEvaluations} e where e.project_id <> ${id} and e.status not in ${endedEvaluations}
    and e.dataset_id in (${datasetsOf(id)})`;
}
