/**
 * Erasing a project: nothing of it remains but that it was erased. Many transactions, since a project may be large; each leaves a
 * state from which another erasure goes on, so whoever is killed in the middle asks again.
 *
 * 1. Keys end and with them whatever is open under them, shares end, webhooks go: nobody acts for the project any more.
 * 2. Answers, evaluations, names, runs and datasets go, each as if somebody deleted it: workers find their leases lost. Ended runs
 *    of other projects that continue from one of its runs first get a copy of their first entries.
 * 3. Its row goes, once nothing refers to it. Files that it named and nobody else does go.
 */
import { type SQL, and, asc, eq, inArray, isNotNull, ne, sql } from "drizzle-orm";
import { auditEntries } from "../../schema/audit-tables.ts";
import { SteplogError } from "../../schema/errors.ts";
import { type Project, apiKeys, projects, shares } from "../../schema/project-tables.ts";
import { defaultProjectId } from "../../schema/projects.ts";
import { aliases, completions, modelEvaluations } from "../../schema/serving-tables.ts";
import { checkpoints, datasets, fineTunes, jobs, rowChecks } from "../../schema/tables.ts";
import { sweeps } from "../../schema/sweep-tables.ts";
import { webhookEndpoints, webhookMessages } from "../../schema/webhook-tables.ts";
import { audit, endEntries } from "../audit/audit.ts";
import { sharedBy } from "../archive/holdings.ts";
import type { Blobs } from "../blobs/blobs.ts";
import { type Database, type Transaction, isUuid } from "../postgres/database.ts";
import { causeOf } from "../postgres/failures.ts";
import { wakeWatchers } from "../postgres/notify.ts";
import { keysTopic } from "../projects/keys.ts";
import { notThere } from "../projects/sight.ts";
import { removeAlias } from "../serving/aliases.ts";
import { remove as removeEvaluation } from "../serving/evaluations.ts";
import { remove as removeCompletion } from "../serving/lifecycle.ts";
import { deleteDataset } from "./datasets.ts";
import { filesOfCheckpoints, filesOfDatasets } from "../archive/files.ts";
import { markFiles, removeMarked } from "./erase-files.ts";
import { keepForkWhole } from "./erase-forks.ts";
import { refuseIfOthersNeed } from "./others-work.ts";
import { deleteRun } from "./runs.ts";

export interface Erasure {
  readonly project: Project;
  readonly runs: number;
  readonly datasets: number;
  readonly evaluations: number;
  readonly completions: number;
  /** Stored files that are gone now, and those that go with the sweep, since somebody may just be storing the same bytes. */
  readonly files: number;
  readonly filesWaiting: number;
}

/**
 * @param confirmed its name
 * @throws NOT_FOUND; INVALID_ARGUMENT for another name; INVALID_STATE for the default project, and for the one with the only
 *   keys; CONFLICT while runs, evaluations or requests of other projects that have not ended need something of it
 */
export async function eraseProject(
  database: Database,
  blobs: Blobs,
  { id, confirmed }: { readonly id: string; readonly confirmed: string },
): Promise<Erasure> {
  const project = await database.transaction((tx) => begin(tx, id, confirmed));
  const counts = { runs: 0, datasets: 0, evaluations: 0, completions: 0 };
  let filesWaiting = 0;
  const run = async (tx: Transaction, one: string) => {
    filesWaiting += await markFiles(tx, filesOfCheckpoints(sql`c.fine_tune_id = ${one}`));
    await deleteRun(tx, one, { cancel: true });
  };
  const dataset = async (tx: Transaction, one: string) => {
    filesWaiting += await markFiles(tx, filesOfDatasets(sql`d.id = ${one}`));
    await deleteDataset(tx, one);
  };
  for (let round = 1; ; round++) {
    counts.completions += await each(database, completionsOf(id), removeCompletion);
    counts.evaluations += await each(database, evaluationsOf(id), removeEvaluation);
    await each(database, namesOf(id), removeAlias);
    await each(database, foreignForksOf(id), keepForkWhole);
    counts.runs += await each(database, runsOf(id), run);
    counts.datasets += await each(database, datasetsOf(id), dataset);
    if (await database.transaction((tx) => end(tx, project, counts)).catch(refusedAsNamed)) break;
    if (round === mostRounds) throw stillUsed(project);
  }
  return { project, ...counts, files: await removeMarked(database, blobs), filesWaiting };
}

/** A request that began before the keys ended adds a row at most. */
const mostRounds = 20;

function stillUsed({ name }: Project): SteplogError {
  return new SteplogError("UNAVAILABLE", `Something still adds to the project ${name}. Erase it again in a moment.`);
}

async function begin(tx: Transaction, id: string, confirmed: string): Promise<Project> {
  const here = eq(projects.id, id);
  const [project] = isUuid(id) ? await tx.select().from(projects).where(here).for("no key update") : [];
  if (!project) throw notThere("project", id);
  if (project.name !== confirmed) throw otherName(confirmed);
  if (id === defaultProjectId)
    throw new SteplogError("INVALID_STATE", "The default project cannot be erased: operators' keys belong to it.");
  await refuseIfOnlyKeys(tx, project);
  await tx.delete(shares).where(sql`(${shares.kind}, ${shares.objectId}, ${shares.projectId}) in (
    select t.kind, t.object_id, t.project_id from ${shares} t where t.project_id = ${id} or ${sharedBy(id)})`);
  await refuseIfOthersNeed(tx, id);
  await tx
    .update(apiKeys)
    .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
    .where(eq(apiKeys.projectId, id));
  await wakeWatchers(tx, keysTopic);
  await tx.delete(webhookEndpoints).where(eq(webhookEndpoints.projectId, id));
  await tx.delete(webhookMessages).where(eq(webhookMessages.projectId, id));
  await audit(tx, { projectId: id, action: "project.erasure_begun", object: project });
  return project;
}

function otherName(confirmed: string): SteplogError {
  const message = `${JSON.stringify(confirmed)} is not the name of this project. Give its name, to confirm that it is erased.`;
  return new SteplogError("INVALID_ARGUMENT", message, [{ field: "name", message: "is not the project's" }]);
}

/** Without any key the service would be open to whoever reaches it. */
async function refuseIfOnlyKeys(tx: Transaction, { id, name }: Project): Promise<void> {
  const [own] = await tx.select({ id: apiKeys.id }).from(apiKeys).where(eq(apiKeys.projectId, id)).limit(1);
  const [other] = await tx.select({ id: apiKeys.id }).from(apiKeys).where(ne(apiKeys.projectId, id)).limit(1);
  if (!own || other) return;
  const why = "without any, the service would be open to whoever reaches it";
  const message = `The project ${name} has the only keys, and ${why}. Make a key of the default project first.`;
  throw new SteplogError("INVALID_STATE", message);
}

// What it has

const atOnce = 100;

/** Does something with each that there is, one transaction each, until there is none. How many. */
async function each(
  database: Database,
  next: SQL,
  work: (tx: Transaction, id: string) => Promise<unknown>,
): Promise<number> {
  for (let count = 0; ;) {
    const found = await database.execute<{ id: string }>(sql`${next} limit ${atOnce}`);
    if (found.length === 0) return count;
    for (const { id } of found) await database.transaction((tx) => work(tx, id));
    count += found.length;
  }
}

const completionsOf = (id: string) => sql`select id from ${completions} where project_id = ${id} order by id`;
const evaluationsOf = (id: string) => sql`select id from ${modelEvaluations} where project_id = ${id} order by id`;
const checkpointsOf = (id: string) =>
  sql`select c.id from ${checkpoints} c join ${fineTunes} r on r.id = c.fine_tune_id where r.project_id = ${id}`;

/** Its own names, and those of others that point at its checkpoints. */
const namesOf = (id: string) =>
  sql`select name as id from ${aliases} where project_id = ${id} or checkpoint_id in (${checkpointsOf(id)}) order by name`;

const foreignForksOf = (id: string) =>
  sql`select id from ${fineTunes} where project_id <> ${id} and from_checkpoint_id in (${checkpointsOf(id)}) order by id`;

/** Those that no run continues from come first, and then others are such. */
const runsOf = (id: string) => sql`select r.id from ${fineTunes} r where r.project_id = ${id} and not exists (
  select from ${fineTunes} f join ${checkpoints} c on c.id = f.from_checkpoint_id where c.fine_tune_id = r.id and f.id <> r.id)
  order by r.created_at desc`;

const datasetsOf = (id: string) =>
  sql`select id from ${datasets} where project_id = ${id} and deleted_at is null order by id`;

/** Rows that nothing above has taken with it. */
async function leaveRest(tx: Transaction, id: string): Promise<void> {
  await giveAwayDeletedDatasets(tx, id);
  await tx.delete(sweeps).where(eq(sweeps.projectId, id));
  await tx.delete(datasets).where(and(eq(datasets.projectId, id), isNotNull(datasets.deletedAt)));
  const left = tx.select({ id: jobs.id }).from(jobs).where(eq(jobs.projectId, id)).orderBy(asc(jobs.id)).for("update");
  await tx.delete(jobs).where(inArray(jobs.id, left));
  // It may quote rows, and is found by a hash alone.
  await tx.delete(rowChecks);
}

/** Ended runs and evaluations of others name them: they keep a row without a name, rows or a hash. */
async function giveAwayDeletedDatasets(tx: Transaction, id: string): Promise<void> {
  const nothing = "0".repeat(64);
  await tx.execute(sql`
    update ${datasets} d set project_id = o.project_id, name = 'erased', sha256 = ${nothing}, bytes = 0, rows = 0
    from (
      select named.id, min(named.project_id::text)::uuid as project_id from (
        select dataset_id as id, project_id from ${fineTunes}
        union all select validation_dataset_id, project_id from ${fineTunes}
        union all select test_dataset_id, project_id from ${fineTunes}
        union all select dataset_id, project_id from ${modelEvaluations}
      ) named where named.project_id <> ${id} group by named.id
    ) o where o.id = d.id and d.project_id = ${id} and d.deleted_at is not null`);
}

/** A request that began before the keys ended may have added a row: then the row of the project is still referred to. */
function refusedAsNamed(error: unknown): false {
  if (causeOf(error).code === "23503") return false;
  throw error;
}

async function end(
  tx: Transaction,
  project: Project,
  counts: Readonly<Record<"runs" | "datasets" | "evaluations" | "completions", number>>,
): Promise<boolean> {
  const { id } = project;
  await leaveRest(tx, id);
  const aboutOthers = sql`${auditEntries.objectType} <> 'Project'`;
  await endEntries(tx, and(eq(auditEntries.projectId, id), aboutOthers) ?? sql`false`);
  await audit(tx, { projectId: id, action: "project.erased", object: project, details: counts });
  // With its keys, shares, and days of use.
  await tx.delete(projects).where(eq(projects.id, id));
  await wakeWatchers(tx, keysTopic);
  return true;
}
