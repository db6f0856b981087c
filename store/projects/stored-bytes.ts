/**
 * What a project stores as files: datasets, weights and exports, the kinds of files that diskUse knows of a project. Each counts
 * for every row that names it, though equal bytes lie on the disk once. What was promised counts too, so that no two promises
 * are made of one room: weights that a worker is to rebuild, and those that unfinished runs keep at their end, with the size
 * that follows from their base and settings.
 */
import { and, eq, inArray, sql } from "drizzle-orm";
import { adapterBytes } from "../../schema/adapter-size.ts";
import { checkpointExports } from "../../schema/export-tables.ts";
import { settingsOf } from "../../schema/hyperparameters.ts";
import { unfinishedStatuses } from "../../schema/states.ts";
import { type BaseModel, type FineTune, baseModels, checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import type { WeightsForm } from "../../schema/weights-form.ts";
import { type Parts, partsOf } from "../models/part-names.ts";
import type { Executor } from "../postgres/database.ts";

export async function storedBytes(database: Executor, projectId: string): Promise<number> {
  const [row] = await database.execute<{ stored: number }>(sql`
    with own as (
      select place.id, place.weights_status, place.weights_bytes
      from ${checkpoints} as place join ${fineTunes} as run on run.id = place.fine_tune_id where run.project_id = ${projectId})
    select (
      (select coalesce(sum(bytes), 0) from ${datasets} where project_id = ${projectId} and deleted_at is null)
      + (select coalesce(sum(weights_bytes), 0) from own where weights_status = 'STORED')
      + (select coalesce(sum((file ->> 'bytes')::bigint), 0)
         from ${checkpointExports} as one join own on own.id = one.checkpoint_id, jsonb_array_elements(one.files) as file
         where one.status = 'STORED'))::float8 as stored`);
  return (row?.stored ?? 0) + (await promisedBytes(database, projectId));
}

/** Weights in a form: of a run on a base. */
interface Promised {
  readonly run: FineTune;
  readonly base: BaseModel;
  readonly form: WeightsForm;
}

async function promisedBytes(database: Executor, projectId: string): Promise<number> {
  const promised = await promisedTo(database, projectId);
  const parts = new Map<string, Parts | null>();
  for (const { base } of promised) if (!parts.has(base.id)) parts.set(base.id, await partsOf(database, base.id));
  return promised.reduce((sum, one) => sum + bytesOf(one, parts.get(one.base.id) ?? null), 0);
}

async function promisedTo(database: Executor, projectId: string): Promise<Promised[]> {
  const own = eq(fineTunes.projectId, projectId);
  const itsBase = eq(baseModels.id, fineTunes.baseModelId);
  const itsRun = eq(fineTunes.id, checkpoints.fineTuneId);
  const row = { run: fineTunes, base: baseModels };
  const kept = await database
    .select(row)
    .from(fineTunes)
    .innerJoin(baseModels, itsBase)
    .where(
      and(
        own,
        eq(fineTunes.keepWeights, true),
        inArray(fineTunes.status, unfinishedStatuses),
        sql`not exists (${atTheirEnd})`,
      ),
    );
  const rebuilt = await database
    .select(row)
    .from(checkpoints)
    .innerJoin(fineTunes, itsRun)
    .innerJoin(baseModels, itsBase)
    .where(and(own, eq(checkpoints.weightsStatus, "QUEUED")));
  const exported = await database
    .select({ ...row, merged: checkpointExports.merged, dtype: checkpointExports.dtype })
    .from(checkpointExports)
    .innerJoin(checkpoints, eq(checkpoints.id, checkpointExports.checkpointId))
    .innerJoin(fineTunes, itsRun)
    .innerJoin(baseModels, itsBase)
    .where(and(own, eq(checkpointExports.status, "QUEUED")));
  return [
    ...[...kept, ...rebuilt].map((one) => ({ ...one, form: asTrained })),
    ...exported.map(({ run, base, merged, dtype }) => ({
      run,
      base,
      form: { merged, dtype: dtype === "trained" ? null : dtype },
    })),
  ];
}

/** Where the log of a run ends now, its weights are stored: it has what it was promised. */
const atTheirEnd = sql`
  select from ${checkpoints} as place where place.fine_tune_id = ${fineTunes.id} and place.entries = ${fineTunes.entries}
  and place.weights_status = 'STORED'`;

const asTrained: WeightsForm = { merged: false, dtype: null };

/** Without a file's header, so it is a little less; 0 for an adapter of a base that an earlier release registered. */
function bytesOf({ run, base, form: { merged, dtype } }: Promised, parts: Parts | null): number {
  const settings = settingsOf(run);
  if (settings.method === "FULL" || merged) return dtype === null ? base.bytes : base.parameters * elementBytes[dtype];
  const adapter = parts?.adapters ? adapterBytes(settings, parts, parts.adapters) : 0;
  return dtype === null ? adapter : (adapter / 4) * elementBytes[dtype];
}

const elementBytes = { float32: 4, bfloat16: 2, float16: 2 } as const;
