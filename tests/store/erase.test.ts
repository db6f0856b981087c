/** Erasing a project: nothing of it remains in any table or file, what others have stays, and an interrupted one goes on. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { operator } from "../../schema/projects.ts";
import { streamStepLog } from "../../schema/step-log.ts";
import { holdings, nameOf, nobodys } from "../../store/archive/holdings.ts";
import type { Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { claimed, directly } from "./fixtures.ts";
import { type Projects, twoProjects, word } from "./project-fixture.ts";
import { requestOf } from "./serving-fixtures.ts";

let fixture: TestStore;
let store: Store;
let projects: Projects;
beforeEach(async () => {
  fixture = await testStore();
  ({ store } = fixture);
  projects = await twoProjects(fixture);
});
afterEach(() => fixture.drop());

const erase = (name = projects.name, id = projects.id) => store.of(operator).administration.eraseProject(id, name);

/** Tables with a row that has a text in any of its columns. */
async function mentions(text: string): Promise<string[]> {
  return directly(fixture.url, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`;
    const found: string[] = [];
    for (const { name } of tables) {
      const rows = await sql`select 1 from ${sql(name)} t where to_jsonb(t)::text like ${`%${text}%`} limit 1`;
      if (rows.length > 0) found.push(name);
    }
    return found;
  });
}

async function storedHashes(): Promise<string[]> {
  const all: string[] = [];
  for await (const { sha256 } of store.blobs.list()) all.push(sha256);
  return all;
}

async function logOf(id: string): Promise<Buffer> {
  const parts = await store.fineTunes.logParts(id, null);
  const pieces: Uint8Array[] = [];
  if (parts) for await (const piece of streamStepLog(parts)) pieces.push(piece);
  return Buffer.concat(pieces);
}

test("every table of the database is a project's or nobody's", async () => {
  const tables = await directly(
    fixture.url,
    (sql) => sql<{ name: string }[]>`
      select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  const known = [...holdings.map(nameOf), ...nobodys.map(([table]) => nameOf({ table }))];
  expect(known.toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
  // Every holding has a row in the fixture, so that an erasure that forgets one is seen.
  const empty = [];
  for (const holding of holdings) {
    const rows = await directly(fixture.url, (sql) => sql`select 1 from ${sql(nameOf(holding))} limit 1`);
    if (rows.length === 0) empty.push(nameOf(holding));
  }
  // Attempts need a gateway, and turns seconds of a worker.
  expect(empty.filter((name) => name !== "project_turns")).toEqual(["webhook_attempts"]);
});

test("nothing of it remains but that it was erased, and others keep what they have", async () => {
  const { id, datasets, checkpoint, other, mine } = projects;
  const forkLog = await logOf(other.fork.id);
  expect(await mentions(word)).toContain("completion_pieces");
  const erased = await erase();
  expect(erased).toMatchObject({ runs: 2, datasets: 2, evaluations: 1, completions: 1, files: 2, filesWaiting: 0 });
  expect(await mentions(id)).toEqual(["audit_entries"]);
  expect(await mentions(word)).toEqual(["audit_entries"]);
  for (const gone of [projects.run.id, projects.fork.id, checkpoint.id, datasets[1]?.id ?? ""])
    expect([gone, await mentions(gone)]).toEqual([gone, []]);
  // The other project has the same rows, and so its file.
  expect(await storedHashes()).toEqual([other.dataset.sha256]);
  const entries = await store.of(operator).audit.list({ limit: 100, projectId: id });
  expect(entries.map(({ action }) => action)).toEqual(["project.erased", "project.erasure_begun", "project.created"]);
  expect(entries[0]).toMatchObject({ actorKind: "OPERATOR", objectName: projects.name, details: { runs: 2 } });

  expect(await logOf(other.fork.id)).toEqual(forkLog);
  expect(await other.theirs.fineTunes.get(other.fork.id)).toMatchObject({ fromCheckpointId: null, firstEntry: 2 });
  const [left] = await store.datasets.byIds([other.run.datasetId]);
  expect(left).toMatchObject({ name: "erased", projectId: other.id, bytes: 0, deletedAt: expect.any(Date) as Date });
  expect(await other.theirs.aliases.resolve("live")).toBeNull();
  expect(await other.theirs.datasets.get(other.dataset.id)).toMatchObject({ name: "rows of both" });
  await expect(mine.administration.project()).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(erase()).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("its keys end, a run that trains loses its lease, and what comes meanwhile goes too", async () => {
  const { mine, key, datasets } = projects;
  expect(await store.keys.viewerOf(key)).not.toBeNull();
  const { baseModelId } = projects.run;
  const input = { idempotencyKey: null, validationDatasetId: null, testDatasetId: null, labelWords: [] };
  const { hyperparameters } = projects.run;
  const datasetId = datasets[0]?.id ?? "";
  const { fineTune } = await mine.fineTunes.create({
    ...input,
    name: "trains",
    baseModelId,
    datasetId,
    hyperparameters,
  });
  await directly(fixture.url, (sql) => sql`delete from jobs where kind <> 'FINE_TUNE'`);
  const job = await claimed(store);
  // Whoever was let in before may still add something.
  const adding = Promise.allSettled(
    Array.from({ length: 20 }, (_, k) =>
      store.datasets.create({
        projectId: projects.id,
        name: `late ${k}`,
        sha256: datasets[0]?.sha256 ?? "",
        bytes: 1,
        rows: 1,
      }),
    ),
  );
  const [erased] = await Promise.all([erase(), adding]);
  expect(erased.runs).toBe(3);
  await expect(store.renewLease(job, 1_000)).rejects.toMatchObject({ code: "LEASE_LOST" });
  expect(await store.fineTunes.get(fineTune.id)).toBeNull();
  expect(await store.keys.viewerOf(key)).toBeNull();
  expect(await mentions(projects.id)).toEqual(["audit_entries"]);
});

test("one that is broken off in the middle goes on when it is asked for again", async () => {
  for (const table of ["completions", "fine_tunes", "datasets", "projects"]) {
    await directly(fixture.url, (sql) =>
      sql.unsafe(`create function breaks() returns trigger language plpgsql as $$ begin raise exception 'broken off'; end $$;
        create trigger breaks before delete or update on ${table} for each row execute function breaks()`),
    );
    await expect(erase()).rejects.toThrow("Failed query");
    await directly(fixture.url, (sql) => sql.unsafe("drop function breaks cascade"));
    expect(await store.keys.viewerOf(projects.key)).toBeNull();
  }
  await erase();
  expect(await mentions(word)).toEqual(["audit_entries"]);
  expect(await storedHashes()).toEqual([projects.other.dataset.sha256]);
});

test("a file that somebody has just stored stays for the sweep", async () => {
  await directly(fixture.url, (sql) => sql`update loose_blobs set since = now() + interval '1 second'`);
  expect(await erase()).toMatchObject({ files: 0 });
  expect((await storedHashes()).length).toBe(3);
  await directly(fixture.url, (sql) => sql`update loose_blobs set since = now() - interval '25 hours'`);
  await store.sweep({ dryRun: false });
  expect(await storedHashes()).toEqual([projects.other.dataset.sha256]);
});

test("is refused without its name, for the default project, for the only keys, and while others need it", async () => {
  const { id, other, mine } = projects;
  await expect(erase("reviews")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(erase("default", operator.projectId)).rejects.toMatchObject({ code: "INVALID_STATE" });
  await expect(mine.administration.eraseProject(id, projects.name)).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(erase("x", crypto.randomUUID())).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { baseModelId, hyperparameters } = projects.run;
  const input = { idempotencyKey: null, validationDatasetId: null, testDatasetId: null, labelWords: [] };
  const more = { ...input, name: "needs its rows", baseModelId, datasetId: other.run.datasetId, hyperparameters };
  const { fineTune } = await other.theirs.fineTunes.create(more);
  await expect(erase()).rejects.toMatchObject({
    code: "CONFLICT",
    message: expect.stringContaining("1 fine-tune") as string,
  });
  expect(await store.keys.viewerOf(projects.key)).not.toBeNull();
  expect(await mine.datasets.list({ limit: 10 })).not.toHaveLength(0);
  await other.theirs.fineTunes.cancel(fineTune.id);
  await directly(fixture.url, (sql) => sql`delete from api_keys where project_id <> ${id}`);
  await expect(erase()).rejects.toMatchObject({ code: "INVALID_STATE" });
});

/** An evaluation and a request of the other project, of the shared checkpoint. */
async function borrowed() {
  const { other, checkpoint, run } = projects;
  const target = { baseModelId: run.baseModelId, checkpointId: checkpoint.id };
  const rules = { labelWords: [], calibrationPrompt: null, settings: { precision: "FLOAT32" } as never };
  const { evaluation } = await other.theirs.evaluations.create({
    ...target,
    ...rules,
    idempotencyKey: null,
    datasetId: other.dataset.id,
  });
  const { completion } = await other.theirs.completions.create({ ...(await requestOf(store)), ...target });
  return { evaluation, completion };
}

const refusal = (...parts: string[]) => ({
  code: "CONFLICT",
  message: expect.stringMatching(
    new RegExp(`^Other projects still need [a-z ]*: ${parts.join(", ")}\\. `, "u"),
  ) as string,
});

test("is refused while others evaluate or ask its checkpoint; what they ended goes with it", async () => {
  const { other } = projects;
  const { evaluation, completion } = await borrowed();
  await expect(erase()).rejects.toMatchObject(refusal("1 evaluation", "1 request"));
  expect(await store.keys.viewerOf(projects.key)).not.toBeNull();
  await other.theirs.evaluations.cancel(evaluation.id);
  await expect(erase()).rejects.toMatchObject(refusal("1 request"));
  await other.theirs.completions.cancel(completion.id);
  await erase();
  expect(await mentions(evaluation.id)).toEqual([]);
  expect(await mentions(completion.id)).toEqual([]);
});

test("a shared checkpoint and its run stay while others evaluate or ask it", async () => {
  const { other, mine, checkpoint, fork } = projects;
  // What else holds it.
  await directly(fixture.url, async (sql) => {
    await sql`delete from aliases`;
    await sql`update fine_tunes set from_checkpoint_id = null where id in (${fork.id}, ${other.fork.id})`;
  });
  const { evaluation, completion } = await borrowed();
  const webhook = { url: "https://example.com/theirs", description: "", events: [] };
  await other.theirs.webhooks.create(webhook);
  const deletions = [
    () => mine.checkpoints.delete(checkpoint.id),
    () => mine.fineTunes.delete(projects.run.id, { cancel: true }),
  ];
  for (const refused of deletions) await expect(refused()).rejects.toMatchObject(refusal("1 evaluation", "1 request"));
  await other.theirs.completions.cancel(completion.id);
  for (const refused of deletions) await expect(refused()).rejects.toMatchObject(refusal("1 evaluation"));
  expect(await other.theirs.evaluations.get(evaluation.id)).toMatchObject({ status: "QUEUED" });
  await other.theirs.evaluations.cancel(evaluation.id);
  expect(await mine.checkpoints.delete(checkpoint.id)).toBe(true);
  expect(await other.theirs.evaluations.get(evaluation.id)).toBeNull();
  expect(await other.theirs.completions.get(completion.id)).toBeNull();
  const told = await directly(
    fixture.url,
    (sql) =>
      sql<{ type: string }[]>`select type from webhook_messages where project_id = ${other.id} order by created_at, id`,
  );
  expect(told.map(({ type }) => type)).toEqual(["evaluation.cancelled", "evaluation.deleted"]);
});
