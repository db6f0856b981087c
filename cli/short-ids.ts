/**
 * Ids as people type and read them. An id of the API is the base64 of a type and a UUID: 60 characters. A command line prints
 * the first 8 digits of the UUID, and takes as many as are unique, at least 4, or a name that is unique, or the whole id.
 */
import type { SteplogClient } from "../client/index.ts";
import type { FindableType } from "../client/schema-types.ts";
import { didYouMean } from "../schema/did-you-mean.ts";
import { SteplogError } from "../schema/errors.ts";
import { find, listedDatasets, listedRuns, listedSweeps, namedModel, type FindQuery } from "./operations.ts";

/** How many digits are printed: two ids of a million begin alike with a chance of one in a hundred. */
const printed = 8;

const kinds = {
  FINE_TUNE: { type: "FineTune", noun: "run", list: "steplog ls" },
  CHECKPOINT: { type: "Checkpoint", noun: "checkpoint", list: "steplog ls checkpoints RUN" },
  DATASET: { type: "Dataset", noun: "dataset", list: "steplog ls datasets" },
  EVALUATION: { type: "ModelEvaluation", noun: "evaluation", list: "steplog ls evaluations" },
  SWEEP: { type: "Sweep", noun: "sweep", list: "steplog sweeps ls" },
} as const satisfies Record<FindableType, object>;

export function shortId(id: string): string {
  return (partsOf(id)?.uuid ?? id).slice(0, printed);
}

export const runOf = (client: SteplogClient, given: string) => idOf(client, "FINE_TUNE", given);

/**
 * The id that a short one, or a name, stands for.
 * @throws NOT_FOUND; INVALID_ARGUMENT for the id of something else, and for what several are called, with each of them
 */
export async function idOf(client: SteplogClient, kind: FindableType, given: string): Promise<string> {
  const whole = partsOf(given);
  const { type, noun, list } = kinds[kind];
  if (whole?.type === type) return given;
  if (whole) {
    const other = Object.values(kinds).find((one) => one.type === whole.type)?.noun ?? whole.type;
    throw new SteplogError("INVALID_ARGUMENT", `${given} is the id of a ${other}, and this needs one of a ${noun}.`);
  }
  const found = there((await client.query(find, { type: kind, text: given })).find);
  const [only] = found;
  if (!only) {
    const named = kind === "CHECKPOINT" || kind === "EVALUATION" ? "" : ", or that is named,";
    const hint = await hintFor(client, kind, given);
    const message = `There is no ${noun} whose id begins with${named} ${JSON.stringify(given)}.${hint} List them: ${list}`;
    throw new SteplogError("NOT_FOUND", message);
  }
  if (found.length > 1) throw ambiguous(given, found);
  return only.id;
}

/** Of the newest ones that this key may see: their names, and where it looks like an id as many digits of theirs. */
async function hintFor(client: SteplogClient, kind: FindableType, given: string): Promise<string> {
  const newest = await namedOnes[kind]?.(client).catch(() => []);
  const looksLikeId = /^[0-9a-f]{4,}(?:-|$)/iu.test(given);
  const digits = (id: string) => (partsOf(id)?.uuid ?? id).slice(0, Math.max(printed, given.length));
  return didYouMean(
    given,
    (newest ?? []).flatMap(({ id, name }) => (looksLikeId ? [name, digits(id)] : [name])),
  );
}

type NamedOnes = (client: SteplogClient) => Promise<readonly { readonly id: string; readonly name: string }[]>;

const first = 100;
/** Checkpoints and evaluations have no names, and are listed by their run. */
const namedOnes: Readonly<Partial<Record<FindableType, NamedOnes>>> = {
  FINE_TUNE: async (client) => (await client.query(listedRuns, { filter: { archived: null }, first })).fineTunes.nodes,
  DATASET: async (client) => (await client.query(listedDatasets, { first })).datasets.nodes,
  SWEEP: async (client) => (await client.query(listedSweeps, { first })).sweeps.nodes,
};

/**
 * A model of the service as it knows it: an alias or a base model by its name, a checkpoint or a run by its id, for which here a
 * short id or a run's name will do. What is none of them stays, so that the service says what there is.
 * @throws INVALID_ARGUMENT for what several are called, with each of them
 */
export async function modelOf(client: SteplogClient, given: string): Promise<string> {
  if (partsOf(given)) return given;
  const answer = await client.query(namedModel, { name: given }).catch((error: unknown) => {
    // A key that may ask models may still not read runs.
    if (error instanceof SteplogError && error.code === "FORBIDDEN") return null;
    throw error;
  });
  if (!answer || answer.alias || answer.baseModels.nodes.some(({ name }) => name === given)) return given;
  const found = there([...answer.runs, ...answer.checkpoints]);
  if (found.length > 1) throw ambiguous(given, found);
  return found[0]?.id ?? given;
}

type Found = NonNullable<FindQuery["find"][number]>;

/** Without those that were deleted just now. */
function there<One>(found: readonly (One | null)[]): readonly One[] {
  return found.filter((one) => one !== null);
}

function ambiguous(given: string, found: readonly Found[]): SteplogError {
  const issues = found.map((one) => ({ message: inWords(one, given) }));
  return new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(given)} may be several. Give more of its id:`, issues);
}

/** A run that was there a moment ago. */
export function runGone(given: string): SteplogError {
  return new SteplogError("NOT_FOUND", `There is no run ${given} any more.`);
}

/** With one digit more than were given, and so with those in which it differs from most others. */
function inWords(one: Found, given: string): string {
  const uuid = partsOf(one.id)?.uuid ?? one.id;
  const digits = Math.max(printed, given.length + 2);
  const words = [
    "name" in one ? one.name : undefined,
    "step" in one ? `checkpoint at step ${one.step}` : undefined,
    "status" in one ? one.status : undefined,
    "createdAt" in one ? `of ${one.createdAt}` : undefined,
  ];
  return [uuid.slice(0, digits), ...words.filter((word) => word !== undefined)].join("  ");
}

/** Type and UUID of an id of the API; null for what is none. */
export function partsOf(id: string): { readonly type: string; readonly uuid: string } | null {
  const [, type, uuid] = /^(\w+):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/u.exec(decoded(id)) ?? [];
  return type !== undefined && uuid !== undefined ? { type, uuid } : null;
}

function decoded(text: string): string {
  return Buffer.from(text, "base64").toString();
}
