/**
 * Tells a change to whoever wants to know: a message in the transaction that makes the change, and a delivery for each enabled
 * endpoint of the project that wants its type. No endpoint, no message. Gateways deliver it (server/webhooks/sender.ts).
 *
 * A payload says what changed, by id, name and status. Rows, prompts, answers and error messages, which may quote them, stay here.
 */
import { type SQL, eq, sql } from "drizzle-orm";
import type { Alias, ModelEvaluation } from "../../schema/serving-tables.ts";
import { type Checkpoint, type Dataset, type FineTune, fineTunes } from "../../schema/tables.ts";
import { webhookDeliveries, webhookEndpoints, webhookMessages } from "../../schema/webhook-tables.ts";
import { globalIdOf } from "../../schema/webhooks.ts";
import { type Transaction, only } from "../postgres/database.ts";
import { wakeWatchers } from "../postgres/notify.ts";

/** What senders subscribe to (store/postgres/notifications.ts). */
export const webhookNews = "webhooks";

export interface Change {
  readonly projectId: string;
  /** One of webhookEvents (schema/webhooks.ts). */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The lock keeps an endpoint from being deleted before this commits: its deliveries would have none. */
export async function announce(tx: Transaction, { projectId, type, data }: Change): Promise<void> {
  const added = await tx.execute(sql`
    with wanted as (
      select id from ${webhookEndpoints}
      where project_id = ${projectId}::uuid and enabled and (events = '{}' or ${type}::text = any(events))
      for key share
    ), message as (
      insert into ${webhookMessages} (project_id, type, payload)
      select ${projectId}::uuid, ${type}::text, ${payloadOf(type, data)} where exists (select from wanted)
      returning id
    )
    insert into ${webhookDeliveries} (message_id, endpoint_id)
    select message.id, wanted.id from message, wanted
    returning id`);
  if (added.length > 0) await wakeWatchers(tx, webhookNews);
}

/** In SQL, since the time is Postgres': clocks of gateways and workers differ. */
export function payloadOf(type: string, data: Change["data"]): SQL {
  const [start, end] = [`{"type":${JSON.stringify(type)},"timestamp":"`, `","data":${JSON.stringify(data)}}`];
  return sql`${start}::text || to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || ${end}::text`;
}

/** @param more what else the message tells */
export async function announceRun(
  tx: Transaction,
  run: FineTune,
  what = run.status.toLowerCase(),
  more: Change["data"] = {},
): Promise<void> {
  const { id, name, status, stepsDone, hyperparameters, errorCode } = run;
  await announce(tx, {
    projectId: run.projectId,
    type: `fine_tune.${what}`,
    data: {
      id: globalIdOf("FineTune", id),
      name,
      status,
      step: stepsDone,
      steps: hyperparameters.steps,
      errorCode,
      ...more,
    },
  });
}

/** @param more what else the message tells @param its the run, by whoever has read it */
export async function announceCheckpoint(
  tx: Transaction,
  { id, fineTuneId, step, weightsStatus }: Checkpoint,
  what: string,
  more: Change["data"] = {},
  its: Pick<FineTune, "name" | "projectId"> | null = null,
): Promise<void> {
  const { name, projectId } = fineTunes;
  const run = its ?? only(await tx.select({ name, projectId }).from(fineTunes).where(eq(fineTunes.id, fineTuneId)));
  await announce(tx, {
    projectId: run.projectId,
    type: `checkpoint.${what}`,
    data: {
      id: globalIdOf("Checkpoint", id),
      step,
      weightsStatus,
      fineTune: { id: globalIdOf("FineTune", fineTuneId), name: run.name },
      ...more,
    },
  });
}

export async function announceDataset(
  tx: Transaction,
  { id, name, rows, bytes, projectId }: Dataset,
  what: "created" | "deleted",
): Promise<void> {
  const data = { id: globalIdOf("Dataset", id), name, rows, bytes };
  await announce(tx, { projectId, type: `dataset.${what}`, data });
}

/** @param alias with the name that clients know */
export async function announceAlias(tx: Transaction, alias: Alias, what: "set" | "removed"): Promise<void> {
  const { name, projectId, baseModelId, checkpointId } = alias;
  await announce(tx, {
    projectId,
    type: `alias.${what}`,
    data: {
      // An alias has no id but its name.
      id: name,
      name,
      baseModel: { id: globalIdOf("BaseModel", baseModelId) },
      checkpoint: checkpointId === null ? null : { id: globalIdOf("Checkpoint", checkpointId) },
    },
  });
}

export async function announceEvaluation(
  tx: Transaction,
  evaluation: ModelEvaluation,
  what = evaluation.status.toLowerCase(),
): Promise<void> {
  const { id, projectId, status, checkpointId, baseModelId, datasetId, errorCode } = evaluation;
  const { rows, loss, accuracy, f1, exactMatch } = evaluation;
  await announce(tx, {
    projectId,
    type: `evaluation.${what}`,
    data: {
      id: globalIdOf("ModelEvaluation", id),
      status,
      baseModel: { id: globalIdOf("BaseModel", baseModelId) },
      checkpoint: checkpointId === null ? null : { id: globalIdOf("Checkpoint", checkpointId) },
      dataset: { id: globalIdOf("Dataset", datasetId) },
      measured: status === "SUCCEEDED" ? { rows, loss, accuracy, f1, exactMatch } : null,
      errorCode,
    },
  });
}
