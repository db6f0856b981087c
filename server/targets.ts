/** What is to answer: a base model or a checkpoint, as requests name it. */
import { didYouMean } from "../schema/did-you-mean.ts";
import { decodeGlobalID, encodeGlobalID } from "@pothos/plugin-relay";
import { bestOf } from "../schema/best-evaluation.ts";
import { limits } from "../schema/limits.ts";
import { SteplogError } from "../schema/errors.ts";
import { contextTaken, settingsOf } from "../schema/hyperparameters.ts";
import { isFinal } from "../schema/states.ts";
import type { BaseModel, Checkpoint, Evaluation, FineTune } from "../schema/tables.ts";
import type { ProjectStore, Target } from "../store/store.ts";
import { oncePerRow } from "./once-per-row.ts";

export interface Answering {
  readonly model: BaseModel;
  /** Null for the base itself. */
  readonly checkpoint: Checkpoint | null;
  /** The alias by which it was named. */
  readonly alias: string | null;
  /** Tokens that prompt and answer may have together: the model's context, less a prefix. */
  readonly context: number;
}

export function idsOf({ model, checkpoint }: Answering): Target {
  return { baseModelId: model.id, checkpointId: checkpoint?.id ?? null };
}

/**
 * By name: an alias, then a base model, then the id of a checkpoint, or of a run for its best checkpoint.
 * @throws NOT_FOUND with some of the names there are
 */
export async function answeringByName(store: ProjectStore, name: string, field: string): Promise<Answering> {
  const [alias, model] = await Promise.all([store.aliases.resolve(name), store.baseModels.getByName(name)]);
  if (alias) return { ...(await answeringOf(store, alias)), alias: name };
  if (model) return answeringBase(model);
  const { typename, id } = decoded(name);
  const checkpoint = typename === "Checkpoint" ? await store.checkpoints.get(id) : null;
  if (checkpoint) return answeringCheckpoint(store, checkpoint);
  const run = typename === "FineTune" ? await store.fineTunes.get(id) : null;
  if (run) return answeringBest(store, run, field);
  throw await unknown(store, name, field);
}

/** Of ids that exist. */
export async function answeringOf(store: ProjectStore, { baseModelId, checkpointId }: Target): Promise<Answering> {
  const checkpoint = checkpointId === null ? null : await store.checkpoints.get(checkpointId);
  if (checkpoint) return answeringCheckpoint(store, checkpoint);
  const model = await store.baseModels.get(baseModelId);
  if (!model) throw gone();
  return answeringBase(model);
}

export function answeringBase(model: BaseModel): Answering {
  return { model, checkpoint: null, alias: null, context: model.contextLength };
}

export async function answeringCheckpoint(store: ProjectStore, checkpoint: Checkpoint): Promise<Answering> {
  const run = await store.checkpoints.runOf(checkpoint);
  const model = run && (await store.baseModels.get(run.baseModelId));
  if (!model) throw gone();
  return { model, checkpoint, alias: null, context: model.contextLength - contextTaken(settingsOf(run)) };
}

/** The checkpoint of a run's best evaluation, or its last one without evaluations. @throws INVALID_STATE when it has none */
export async function answeringBest(store: ProjectStore, run: FineTune, field: string): Promise<Answering> {
  const best = await bestCheckpoint(store, run);
  if (best) return answeringCheckpoint(store, best);
  if (isFinal(run.status)) {
    const message = "The run has no checkpoint, and will have none. Name its base model, or another run.";
    throw new SteplogError("INVALID_STATE", message, [{ field, message }]);
  }
  const message = "The run has no checkpoint yet. Wait for its first one, or name its base model.";
  throw new SteplogError("INVALID_STATE", message, [{ field, message }], { retryAfterS: firstCheckpointS });
}

/** Runs differ by hours; a client that asks again so often does no harm. */
const firstCheckpointS = 10;

/** All evaluations of a run, of each kind. */
export const evaluationsOf = oncePerRow((store, { id }: FineTune) => store.fineTunes.evaluations(id));

/** By what the run judges its checkpoints; null before the first evaluation of its validation rows. */
export async function bestEvaluation(store: ProjectStore, run: FineTune): Promise<Evaluation | null> {
  return bestOf(await evaluationsOf(store, run), settingsOf(run).bestMetric);
}

/** The same of a run that may have none: null then. */
export async function bestCheckpoint(store: ProjectStore, run: FineTune): Promise<Checkpoint | null> {
  const best = await bestEvaluation(store, run);
  const last = () => store.checkpoints.list(run.id, { limit: 1 });
  if (!best) return (await last())[0] ?? null;
  const there = await store.checkpoints.lastUpTo(run.id, best.step);
  return there?.step === best.step ? there : ((await last())[0] ?? null);
}

/** What is no id is of no type. */
export function decoded(name: string): { readonly typename: string; readonly id: string } {
  try {
    return decodeGlobalID(name);
  } catch {
    return { typename: "", id: "" };
  }
}

/** Names that an error lists, of each kind. */
const listed = 10;

async function unknown(store: ProjectStore, name: string, field: string): Promise<SteplogError> {
  const [aliases, models] = await Promise.all([
    store.aliases.list({ limit: limits.pageSize }),
    store.baseModels.list({ limit: limits.pageSize }),
  ]);
  const names = [...aliases.slice(0, listed), ...models.slice(0, listed)].map((one) => one.name);
  const known =
    names.length > 0 ? `There are: ${names.join(", ")}, and the ids of checkpoints.` : "There are none yet.";
  const hint = didYouMean(
    name.slice(0, limits.nameLength),
    [...aliases, ...models].map((one) => one.name),
  );
  const seen = name.length > 100 ? `${name.slice(0, 100).toWellFormed()}…` : name;
  const message = `There is no model ${JSON.stringify(seen)}.${hint} ${known}`;
  return new SteplogError("NOT_FOUND", message, [{ field, message }]);
}

/** Deleted since its id was read. */
function gone(): SteplogError {
  return new SteplogError("NOT_FOUND", "The model has just been deleted.");
}

/** The id of a checkpoint as clients see it. */
export function checkpointName(id: string): string {
  return encodeGlobalID("Checkpoint", id);
}
