/**
 * What people write on a run and change at any time: name, tags, metadata, priority, and whether it is archived; and the lists
 * that go by it. Nothing of it changes what is trained.
 */
import { type SQL, and, arrayContains, eq, gte, ilike, inArray, isNotNull, isNull, lt, or, sql } from "drizzle-orm";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { FineTuneStatus } from "../../schema/states.ts";
import { type FineTune, baseModels, fineTunes, jobs } from "../../schema/tables.ts";
import { type Keys, type Page, beginsWith, containing, countOf, inProject, pageOf } from "../pages.ts";
import { type Database, type Transaction, isUuid, only } from "../postgres/database.ts";
import { wakeWatchers, wakeWorkers } from "../postgres/notify.ts";
import { lockJobAbout } from "../queue/jobs.ts";
import { announceRun } from "../webhooks/announce.ts";
import { lockRun } from "./lifecycle.ts";

/** What is left out stays as it is. */
export interface RunLabels {
  readonly name?: string;
  readonly tags?: readonly string[];
  /** Of the tags, and not in place of them: two who tag a run at once keep both. */
  readonly addTags?: readonly string[];
  readonly removeTags?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** Of its job too, from the next claim on. */
  readonly priority?: number;
  readonly archived?: boolean;
}

export interface MetadataEntry {
  readonly key: string;
  readonly value: string;
}

export interface RunFilter {
  readonly status?: FineTuneStatus | undefined;
  readonly statuses?: readonly FineTuneStatus[] | undefined;
  /** Of all projects when left out. */
  readonly projectId?: string | undefined;
  /** It has all of these. */
  readonly tags?: readonly string[] | undefined;
  /** It has all of these, each with this value. */
  readonly metadata?: readonly MetadataEntry[] | undefined;
  /** The name of its base model. */
  readonly baseModel?: string | undefined;
  /** Id of a dataset that it trains, validates or tests on. */
  readonly dataset?: string | undefined;
  /** Part of its name, in upper or lower case. */
  readonly name?: string | undefined;
  /** Part of its name or of a tag, in upper or lower case, or the beginning of its id: 4 digits or more. */
  readonly search?: string | undefined;
  /** Both kinds when left out. */
  readonly archived?: boolean | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdBefore?: Date | undefined;
}

/** An order of runs. FINISHED, SCORE and LOSS have only the runs that have what they go by. */
export type RunSort = keyof typeof sorts;

export interface RunOrder {
  /** CREATED when left out. */
  readonly sort?: RunSort | undefined;
  /** From its other end. */
  readonly reverse?: boolean | undefined;
}

/** Repeating it changes nothing. @throws NOT_FOUND; INVALID_ARGUMENT for more tags than a run may have */
export async function label(
  tx: Transaction,
  id: string,
  { archived, tags: given, addTags, removeTags, ...labels }: RunLabels,
): Promise<FineTune> {
  const job = await lockJobAbout(tx, "FINE_TUNE", id);
  const run = await lockRun(tx, id);
  const archivedAt =
    archived === undefined ? {} : { archivedAt: archived ? sql`coalesce(${fineTunes.archivedAt}, now())` : null };
  const change = { ...labels, ...tagsOf(run, { tags: given, addTags, removeTags }), ...archivedAt };
  if (Object.keys(change).length === 0) return run;
  const labelled = only(await tx.update(fineTunes).set(change).where(eq(fineTunes.id, id)).returning());
  if (job && labels.priority !== undefined) {
    await tx.update(jobs).set({ priority: labels.priority }).where(eq(jobs.id, job.id));
    await wakeWorkers(tx, "FINE_TUNE");
  }
  const { tags, metadata, archivedAt: since } = labelled;
  await announceRun(tx, labelled, "updated", { tags, metadata, priority: labelled.priority, archivedAt: since });
  await wakeWatchers(tx, id);
  return labelled;
}

type Tagging = { readonly [Name in "tags" | "addTags" | "removeTags"]: readonly string[] | undefined };

/** Those that were there come first. */
function tagsOf(run: FineTune, { tags: given, addTags, removeTags }: Tagging): Pick<RunLabels, "tags"> {
  if (!given && !addTags && !removeTags) return {};
  const tags = [...new Set([...(given ?? run.tags), ...(addTags ?? [])])].filter((tag) => !removeTags?.includes(tag));
  if (tags.length <= limits.tags) return { tags };
  const message = `${JSON.stringify(run.name)} would have ${tags.length} tags, and ${limits.tags} is the most. Remove some.`;
  throw new SteplogError("INVALID_ARGUMENT", message, [{ field: "input.addTags", message }]);
}

/** The last or the most first, unless it is ascending. Names are in the order of the database. */
const sorts = {
  CREATED: { sort: fineTunes.createdAt },
  FINISHED: { sort: fineTunes.finishedAt, some: true },
  NAME: { sort: fineTunes.name, ascending: true },
  // No index: it would have to change with every append.
  STEPS: { sort: fineTunes.stepsDone },
  SCORE: { sort: fineTunes.bestScore, some: true },
  LOSS: { sort: fineTunes.bestLoss, some: true, ascending: true },
} as const satisfies Record<string, Order>;

interface Order extends Pick<Keys, "sort" | "ascending"> {
  /** Whether some runs lack it. */
  readonly some?: true;
}

/** The runs that an order has. */
function sorted(order: Order): SQL[] {
  return order.some ? [isNotNull(order.sort)] : [];
}

export async function listRuns(
  database: Database,
  filter: RunFilter,
  { sort = "CREATED", reverse = false, ...page }: Page & RunOrder,
): Promise<FineTune[]> {
  const order: Order = sorts[sort];
  const ascending = (order.ascending ?? false) !== reverse;
  const of = inProject(fineTunes, filter.projectId);
  const keys = { ...order, ascending, of, table: fineTunes, id: fineTunes.id };
  const { where, order: by } = await pageOf(database, keys, page);
  const here = and(...where, ...sorted(order));
  if (isLabelled(filter)) return labelledRuns(database, filter, { here, sort: order.sort, by, limit: page.limit });
  return database
    .select()
    .from(fineTunes)
    .where(and(here, ...conditionsOf(database, filter)))
    .orderBy(...by)
    .limit(page.limit);
}

const isLabelled = ({ tags = [], metadata = [] }: RunFilter) => tags.length + metadata.length > 0;

interface Place {
  readonly here: SQL | undefined;
  readonly sort: Keys["sort"];
  readonly by: readonly SQL[];
  readonly limit: number;
}

/**
 * Tags and metadata have an index and the order has another, and Postgres guesses which is better. If it takes the runs in their
 * order until there is a page of them, it reads all where those that are wanted are of long ago. So the nearest are looked at
 * first. If fewer than a page of those match, the tags and metadata are looked up by their index, and the matches sorted.
 */
async function labelledRuns(database: Database, filter: RunFilter, place: Place): Promise<FineTune[]> {
  const { here, sort, by, limit } = place;
  const such = and(...conditionsOf(database, filter));
  // Without an index, the nearest are no quicker than all.
  const first = sort === fineTunes.stepsDone ? [] : await amongNearest(database, such, place);
  if (first.length === limit) return first;
  const narrow = { id: fineTunes.id, sort };
  const all = database.select(narrow).from(fineTunes).where(and(here, such)).limit(noLimit).as("fine_tunes");
  const page = database
    .select({ id: all.id })
    .from(all)
    .orderBy(...by)
    .limit(limit);
  return database
    .select()
    .from(fineTunes)
    .where(inArray(fineTunes.id, page))
    .orderBy(...by);
}

function amongNearest(database: Database, such: SQL | undefined, { here, by, limit }: Place): Promise<FineTune[]> {
  const near = database
    .select()
    .from(fineTunes)
    .where(here)
    .orderBy(...by)
    .limit(nearest)
    .as("fine_tunes");
  return database
    .select()
    .from(near)
    .where(such)
    .orderBy(...by)
    .limit(limit);
}

const nearest = 1_000;
/** What is below a limit is planned by itself. */
const noLimit = 2 ** 31 - 1;

/** All that the pages of such a list have together. */
export async function countRuns(database: Database, filter: RunFilter, sort: RunSort): Promise<number> {
  const where = and(...sorted(sorts[sort]), ...conditionsOf(database, filter));
  return countOf(database, fineTunes, where);
}

function conditionsOf(database: Database, filter: RunFilter): SQL[] {
  const { status, statuses, projectId, tags = [], metadata = [], baseModel, dataset, name, archived } = filter;
  const { search, createdFrom, createdBefore } = filter;
  const ofModel = (model: string) =>
    database.select({ id: baseModels.id }).from(baseModels).where(eq(baseModels.name, model));
  return [
    inProject(fineTunes, projectId),
    status !== undefined && eq(fineTunes.status, status),
    statuses !== undefined && inArray(fineTunes.status, [...statuses]),
    tags.length > 0 && arrayContains(fineTunes.tags, [...tags]),
    ...metadata.map(({ key, value }) => sql`${fineTunes.metadata} @> ${JSON.stringify({ [key]: value })}::jsonb`),
    baseModel !== undefined && inArray(fineTunes.baseModelId, ofModel(baseModel)),
    dataset !== undefined && onDataset(dataset),
    name !== undefined && ilike(fineTunes.name, containing(name)),
    search !== undefined && found(search),
    archived !== undefined && (archived ? isNotNull(fineTunes.archivedAt) : isNull(fineTunes.archivedAt)),
    createdFrom !== undefined && gte(fineTunes.createdAt, createdFrom),
    createdBefore !== undefined && lt(fineTunes.createdAt, createdBefore),
  ].filter((condition) => condition !== false && condition !== undefined);
}

function found(text: string): SQL | undefined {
  const pattern = containing(text);
  const tagged = sql`array_to_string(${fineTunes.tags}, chr(10)) ilike ${pattern}`;
  return or(ilike(fineTunes.name, pattern), tagged, beginsWith(fineTunes.id, text));
}

/** Each of the three has an index. */
function onDataset(id: string): SQL | undefined {
  if (!isUuid(id)) return sql`false`;
  const { datasetId, validationDatasetId, testDatasetId } = fineTunes;
  return or(eq(datasetId, id), eq(validationDatasetId, id), eq(testDatasetId, id));
}
