/** Two projects, one with everything that a project can have, and one that uses what the first shares with it. */
import { Readable } from "node:stream";
import { operator, type Viewer, scopes } from "../../schema/projects.ts";
import type { Checkpoint, Dataset, FineTune } from "../../schema/tables.ts";
import type { ProjectStore, Store } from "../../store/store.ts";
import type { TestStore } from "../support/postgres.ts";
import { batchOf, chainAfter, chainStart, claimed, directly, headerBytes, newInput } from "./fixtures.ts";
import { requestOf } from "./serving-fixtures.ts";

/** In every text of the first project, and in none of the other's. */
export const word = "xyzzy";

export interface Projects {
  readonly id: string;
  readonly name: string;
  readonly mine: ProjectStore;
  readonly key: string;
  readonly run: FineTune;
  readonly fork: FineTune;
  readonly checkpoint: Checkpoint;
  readonly datasets: readonly Dataset[];
  readonly other: {
    readonly id: string;
    readonly theirs: ProjectStore;
    /** On a dataset of the first, and one that continues from its checkpoint. */
    readonly run: FineTune;
    readonly fork: FineTune;
    readonly dataset: Dataset;
  };
}

const viewerOf = (projectId: string): Viewer => ({ projectId, scopes: new Set(scopes), key: null });

export async function twoProjects({ store, url }: TestStore): Promise<Projects> {
  const { administration } = store.of(operator);
  await administration.createKey({ name: "operator", scopes: ["admin"], expiresInS: null });
  const project = await administration.createProject(`${word} reviews`);
  const others = await administration.createProject("others");
  const { key } = await administration.createKey({
    name: `${word} key`,
    scopes: [...scopes],
    expiresInS: null,
    projectId: project.id,
  });
  const [mine, theirs] = [store.of(viewerOf(project.id)), store.of(viewerOf(others.id))];
  const [alone, both] = [await datasetOf(store, mine, `${word} rows`), await datasetOf(store, mine, "rows of both")];
  const dataset = await datasetOf(store, theirs, "rows of both");
  await mine.webhooks.create({ url: `https://example.com/${word}`, description: `${word} hook`, events: [] });

  const { run, checkpoint } = await trained(store, mine, { name: `${word} run`, datasetId: alone.id });
  const fork = (await trained(store, mine, { name: `${word} fork`, datasetId: both.id, from: checkpoint })).run;
  await mine.aliases.set("best", { baseModelId: run.baseModelId, checkpointId: checkpoint.id });

  await mine.administration.share("CHECKPOINT", checkpoint.id, others.id);
  await mine.administration.share("DATASET", alone.id, others.id);
  await theirs.administration.share("DATASET", dataset.id, project.id);
  const used = await trained(store, theirs, { name: "on shared rows", datasetId: alone.id });
  const forked = await trained(store, theirs, { name: "forked", datasetId: dataset.id, from: checkpoint });
  await theirs.aliases.set("live", { baseModelId: run.baseModelId, checkpointId: checkpoint.id });
  // After all runs: these wait for a worker.
  await waiting(store, mine, { run, checkpoint, datasetId: alone.id });
  await weightsOf(store, checkpoint, url);
  const { sweep } = await mine.sweeps.create({ idempotencyKey: null, name: `${word} sweep`, varied: [], runs: [] });
  await directly(url, (sql) => sql`update fine_tunes set sweep_id = ${sweep.id}, sweep_place = 1 where id = ${run.id}`);
  await directly(url, (sql) => sql`update loose_blobs set since = now() - interval '1 hour'`);
  return {
    id: project.id,
    name: project.name,
    mine,
    key,
    run,
    fork,
    checkpoint,
    datasets: [alone, both],
    other: { id: others.id, theirs, run: used.run, fork: forked.run, dataset },
  };
}

async function datasetOf(store: Store, project: ProjectStore, name: string): Promise<Dataset> {
  const rows = `{"prompt": "${name}", "completion": " good"}\n`;
  const blob = await store.blobs.put(Readable.from([Buffer.from(rows)]));
  return store.datasets.create({ projectId: project.viewer.projectId, name, ...blob, rows: 1 });
}

interface Wanted {
  readonly name: string;
  readonly datasetId: string;
  readonly from?: Checkpoint;
}

/** A run of two steps that has ended, with a checkpoint. */
async function trained(store: Store, project: ProjectStore, { name, datasetId, from }: Wanted) {
  const start = from ? { checkpointId: from.id, firstStep: from.step } : null;
  const input = { ...(await newInput(store)), name, datasetId, from: start };
  const { fineTune: run } = await project.fineTunes.create(input);
  const job = await claimed(store);
  const first = from?.entries ?? 0;
  if (!from) await store.beginLog(job, { headerBytes, chain: chainStart, device: "plain" });
  const batch = batchOf(first, 2);
  await store.appendSteps(job, { ...batch, metrics: batchOf(0, 2).metrics });
  await store.recordEvaluation(job, { entries: first + 2, step: 2, rows: 1, loss: 0.5, accuracy: null });
  const place = { entries: first + 2, step: 2, chain: chainAfter(first + 2), weightsDigest: "ab".repeat(32) };
  const checkpoint = await store.recordCheckpoint(job, place);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  return { run: (await store.fineTunes.get(run.id)) ?? run, checkpoint };
}

/** A request to a model and an evaluation, which wait. */
async function waiting(
  store: Store,
  mine: ProjectStore,
  {
    run,
    checkpoint,
    datasetId,
  }: { readonly run: FineTune; readonly checkpoint: Checkpoint; readonly datasetId: string },
): Promise<void> {
  const target = { baseModelId: run.baseModelId, checkpointId: checkpoint.id };
  const request = { ...(await requestOf(store)), ...target, alias: `${word}-alias` };
  await mine.completions.create(request);
  await mine.evaluations.create({
    ...target,
    idempotencyKey: `${word} evaluation`,
    datasetId,
    labelWords: [word],
    calibrationPrompt: null,
    settings: { precision: "FLOAT32" } as never,
  });
}

/** Stored weights of a checkpoint, and a piece of an answer, as workers write them. */
async function weightsOf(store: Store, { id }: Checkpoint, url: string): Promise<void> {
  const blob = await store.blobs.put(Readable.from([Buffer.from(`weights of ${word}`)]));
  const files = JSON.stringify([{ name: "model.safetensors", ...blob }]);
  await directly(url, async (sql) => {
    await sql`update checkpoints set weights_status = 'STORED', weights_files = ${files}::text::jsonb,
      weights_bytes = ${blob.bytes} where id = ${id}`;
    await sql`insert into checkpoint_exports (checkpoint_id, merged, dtype, status, files)
      values (${id}, true, 'bfloat16', 'STORED', ${files}::text::jsonb)`;
    await sql`insert into completion_pieces (completion_id, sequence, choice, first_token, tokens, text)
      select id, 1, 0, 0, ''::bytea, ${word} from completions`;
    await sql`insert into evaluated_rows (evaluation_id, "row", prompt, expected, answer, "right", loss)
      select id, 0, ${word}, ${word}, ${word}, true, 0.5 from model_evaluations`;
    await sql`insert into step_blocks (fine_tune_id, block, finite, gradients, learning_rate, seconds_sum)
      select id, 0, 0, 0, 1e-6, 1 from fine_tunes`;
    await sql`insert into merged_steps (fine_tune_id, size, block, finite, gradients, learning_rate, seconds_sum)
      select id, 8, 0, 0, 0, 1e-6, 1 from fine_tunes`;
    await sql`insert into run_memory (fine_tune_id, kind, step, resident_bytes)
      select id, 'STEPS', 1, 1e9 from fine_tunes`;
    await sql`insert into row_checks (key, problem) values ('k', ${JSON.stringify({ message: word, issues: [] })}::text::jsonb)`;
  });
}
