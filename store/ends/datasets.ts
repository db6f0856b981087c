/**
 * Deleting datasets. Rows are needed while a run trains or an evaluation measures. Afterwards they go, and what names the dataset
 * shows that it is deleted: the row of the table stays, without a key and out of every list, until nothing names it.
 */
import { type SQL, and, asc, eq, inArray, isNotNull, isNull, notInArray, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { endedStatuses } from "../../schema/completion.ts";
import { shares } from "../../schema/project-tables.ts";
import { modelEvaluations } from "../../schema/serving-tables.ts";
import { finalStatuses } from "../../schema/states.ts";
import { type Dataset, datasets, fineTunes } from "../../schema/tables.ts";
import { type Transaction, isUuid } from "../postgres/database.ts";
import { audit } from "../audit/audit.ts";
import { announceDataset } from "../webhooks/announce.ts";
import { labelOf, named } from "./holders.ts";

/** Asked once the dataset is locked; if it throws, nothing is deleted. */
type Unless = (dataset: Dataset) => Promise<void>;

/** False if there is none. @throws CONFLICT naming the runs and evaluations that have not ended and need its rows */
export async function deleteDataset(tx: Transaction, id: string, unless?: Unless): Promise<boolean> {
  const here = and(eq(datasets.id, id), isNull(datasets.deletedAt));
  // So that nothing new can refer to it.
  const [dataset] = isUuid(id) ? await tx.select().from(datasets).where(here).for("update") : [];
  if (!dataset) return false;
  await unless?.(dataset);
  await refuseIfNeeded(tx, dataset);
  await tx.delete(shares).where(and(eq(shares.kind, "DATASET"), eq(shares.objectId, id)));
  await tx
    .update(datasets)
    .set({ deletedAt: sql`now()`, idempotencyKey: null })
    .where(eq(datasets.id, id));
  await audit(tx, { projectId: dataset.projectId, action: "dataset.deleted", object: dataset });
  await announceDataset(tx, dataset, "deleted");
  await dropUnnamed(tx, [id]);
  return true;
}

async function refuseIfNeeded(tx: Transaction, { id, projectId }: Dataset): Promise<void> {
  const runs = await tx
    .select({ id: fineTunes.id, name: fineTunes.name, projectId: fineTunes.projectId })
    .from(fineTunes)
    .where(and(ofDataset(sql`${id}`), notInArray(fineTunes.status, finalStatuses)))
    .orderBy(asc(fineTunes.createdAt), asc(fineTunes.id));
  const measured = await tx
    .select({ id: modelEvaluations.id, projectId: modelEvaluations.projectId })
    .from(modelEvaluations)
    .where(and(eq(modelEvaluations.datasetId, id), notInArray(modelEvaluations.status, endedStatuses)))
    .orderBy(asc(modelEvaluations.createdAt), asc(modelEvaluations.id));
  const held = [
    ...named(
      projectId,
      "fine-tune",
      runs.map((run) => ({ ...run, label: labelOf(run) })),
      ["needs its rows", "need its rows"],
    ),
    ...named(
      projectId,
      "evaluation",
      measured.map((one) => ({ ...one, label: one.id })),
      ["needs its rows", "need its rows"],
    ),
  ];
  if (held.length === 0) return;
  const advice = "Wait until they have ended, or cancel them, and delete it then";
  throw new SteplogError("CONFLICT", `It is still needed: ${held.join("; ")}. ${advice}.`);
}

function ofDataset(id: SQL): SQL | undefined {
  const { datasetId, validationDatasetId, testDatasetId } = fineTunes;
  return or(sql`${datasetId} = ${id}`, sql`${validationDatasetId} = ${id}`, sql`${testDatasetId} = ${id}`);
}

/** Those of these that are deleted and that nothing names any more. */
export async function dropUnnamed(tx: Transaction, ids: readonly (string | null)[]): Promise<void> {
  const known = ids.filter((id) => id !== null);
  const its = sql`${datasets.id}`;
  const ofRuns = sql`exists (select 1 from ${fineTunes} where ${ofDataset(its)})`;
  const ofEvaluations = sql`exists (select 1 from ${modelEvaluations} where ${modelEvaluations.datasetId} = ${its})`;
  await tx
    .delete(datasets)
    .where(
      and(inArray(datasets.id, known), isNotNull(datasets.deletedAt), sql`not ${ofRuns}`, sql`not ${ofEvaluations}`),
    );
}
