/**
 * The files of a project's export, one after the other, none of them held in memory: pages of rows of each table, the log of each
 * run, stored files, and hashes. Rows are read page by page without a transaction over all of it: what is deleted meanwhile may
 * be missing, and what comes meanwhile may be there.
 */
import { createHash } from "node:crypto";
import { type SQL, sql } from "drizzle-orm";
import { checkpointExports } from "../../schema/export-tables.ts";
import { SteplogError } from "../../schema/errors.ts";
import type { Project } from "../../schema/project-tables.ts";
import { stepLogBytes, streamStepLog } from "../../schema/step-log.ts";
import { checkpoints, datasets, fineTunes } from "../../schema/tables.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Database } from "../postgres/database.ts";
import { logParts } from "../runs/logs.ts";
import { type Holding, holdings, keyOf, nameOf } from "./holdings.ts";
import { readme } from "./readme.ts";

export interface ArchiveFile {
  readonly name: string;
  readonly bytes: number;
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface ArchiveOptions {
  /** Whether stored weights are in it, which the logs can rebuild. */
  readonly weights: boolean;
}

interface Source {
  readonly database: Database;
  readonly blobs: Blobs;
  readonly project: Project;
}

/** What the last file says. */
export interface Manifest {
  readonly format: "steplog-project";
  readonly version: 1;
  readonly project: { readonly id: string; readonly name: string };
  readonly exportedAt: string;
  readonly weights: boolean;
  readonly files: number;
  /** The files that have the hashes of all others, in order. */
  readonly sums: readonly { readonly name: string; readonly sha256: string }[];
}

/** Files whose hashes are in one file. */
const summedAtOnce = 1_000;

/** The last file is the manifest: an archive without it is not complete. */
export async function* archiveOf(source: Source, options: ArchiveOptions): AsyncGenerator<ArchiveFile> {
  const { id, name } = source.project;
  const exportedAt = new Date().toISOString();
  const sums: { name: string; sha256: string }[] = [];
  let lines: string[] = [];
  let files = 0;
  const sum = (): ArchiveFile => {
    const file = textFile(`SHA256SUMS-${numbered(sums.length + 1)}`, lines.join(""));
    sums.push({ name: file.name, sha256: sha256Of(lines.join("")) });
    lines = [];
    return file;
  };
  for await (const file of contentOf(source, options)) {
    const hash = createHash("sha256");
    yield { ...file, content: hashed(file.content, hash) };
    files += 1;
    lines.push(`${hash.digest("hex")}  ${file.name}\n`);
    if (lines.length === summedAtOnce) yield sum();
  }
  if (lines.length > 0) yield sum();
  const head = { format: "steplog-project", version: 1, project: { id, name } } as const;
  const manifest: Manifest = { ...head, exportedAt, weights: options.weights, files, sums };
  yield textFile("manifest.json", `${JSON.stringify(manifest, null, 2)}\n`);
}

async function* hashed(content: ArchiveFile["content"], hash: ReturnType<typeof createHash>) {
  for await (const piece of content) {
    hash.update(piece);
    yield piece;
  }
}

const sha256Of = (text: string) => createHash("sha256").update(text).digest("hex");
const numbered = (number: number) => String(number).padStart(6, "0");

function textFile(name: string, text: string): ArchiveFile {
  const bytes = Buffer.from(text);
  return { name, bytes: bytes.length, content: [bytes] };
}

async function* contentOf(source: Source, { weights }: ArchiveOptions): AsyncGenerator<ArchiveFile> {
  yield textFile("README.md", readme(source.project.name));
  for (const holding of holdings) if (holding.untold === undefined) yield* pagesOf(source, holding);
  yield* logsOf(source);
  yield* blobsOf(source, weights);
}

// Rows

const usualRows = 1_000;

/** In order of the primary key. The last row of a page, as JSON, is the cursor: Postgres reads it with all its digits. */
async function* pagesOf({ database, project }: Source, holding: Holding): AsyncGenerator<ArchiveFile> {
  const { table, isOf, hidden = [], atOnce = usualRows } = holding;
  const keys = keyOf(holding).map((name) => sql.identifier(name));
  const mine = sql.join(
    keys.map((key) => sql`t.${key}`),
    sql`, `,
  );
  const cursor = sql.join(
    keys.map((key) => sql`c.${key}`),
    sql`, `,
  );
  let after: string | null = null;
  for (let page = 1; ; page++) {
    const later: SQL =
      after === null
        ? sql`true`
        : sql`(${mine}) > (select ${cursor} from jsonb_populate_record(null::${table}, ${after}::jsonb) c)`;
    const rows: { row: string }[] = await database.execute<{ row: string }>(sql`
      select (to_jsonb(t) - array(select jsonb_array_elements_text(${JSON.stringify(hidden)}::jsonb)))::text as row
      from ${table} t where ${isOf(project.id)} and ${later} order by ${mine} limit ${atOnce}`);
    if (rows.length === 0) return;
    after = rows.at(-1)?.row ?? null;
    yield textFile(`${nameOf(holding)}/${numbered(page)}.jsonl`, rows.map(({ row }) => `${row}\n`).join(""));
    if (rows.length < atOnce) return;
  }
}

// Logs

const runsAtOnce = 200;

/** Of a fork too the whole log, with what it has of the run that it continues from: it rebuilds from the base alone. */
async function* logsOf({ database, project }: Source): AsyncGenerator<ArchiveFile> {
  for (let after = "00000000-0000-0000-0000-000000000000"; ;) {
    const runs: { id: string }[] = await database.execute<{ id: string }>(sql`
      select id from ${fineTunes} where project_id = ${project.id} and id > ${after}::uuid and log_header is not null
      order by id limit ${runsAtOnce}`);
    for (const { id } of runs) {
      const log = await logParts(database, id, null);
      const bytes = log && stepLogBytes(log.headerBytes.length, log.entries, log.decayed);
      if (log && bytes !== null) yield { name: `logs/${id}.steplog`, bytes, content: streamStepLog(log) };
    }
    if (runs.length < runsAtOnce) return;
    after = runs.at(-1)?.id ?? after;
  }
}

// Stored files

const blobsAtOnce = 500;

async function* blobsOf({ database, blobs, project }: Source, weights: boolean): AsyncGenerator<ArchiveFile> {
  for (let after = ""; ;) {
    const named: { hash: string; bytes: string }[] = await database.execute<{ hash: string; bytes: string }>(sql`
      select hash, max(bytes)::text as bytes from (${blobsNamedBy(project.id, weights)}) as named
      where hash > ${after} group by hash order by hash limit ${blobsAtOnce}`);
    for (const { hash, bytes } of named) {
      const content = await blobs.open(hash).catch(async (error: unknown) => {
        const isGone = error instanceof SteplogError && error.code === "NOT_FOUND";
        const [still] = await database.execute(
          sql`select 1 from (${blobsNamedBy(project.id, weights)}) as named where hash = ${hash}`,
        );
        // Deleted since the page was read.
        if (isGone && !still) return null;
        throw error;
      });
      if (content) yield { name: `blobs/${hash}`, bytes: Number(bytes), content };
    }
    if (named.length < blobsAtOnce) return;
    after = named.at(-1)?.hash ?? after;
  }
}

/** In SQL: hash and bytes of the files that a project's rows name. */
function blobsNamedBy(projectId: string, weights: boolean): SQL {
  const rows = filesOfDatasets(sql`d.project_id = ${projectId}`);
  const ofProject = sql`c.fine_tune_id in (select id from ${fineTunes} where project_id = ${projectId})`;
  return weights ? sql`${rows} union all ${filesOfCheckpoints(ofProject)}` : rows;
}

/** In SQL: hash and bytes of the rows of datasets `d`, and when they were named. */
export function filesOfDatasets(which: SQL): SQL {
  return sql`select d.sha256 as hash, d.bytes, d.created_at as named_at from ${datasets} d where ${which} and d.deleted_at is null`;
}

/** In SQL: the same of the weights and exports of checkpoints `c`. */
export function filesOfCheckpoints(which: SQL): SQL {
  const file = sql`file ->> 'sha256', (file ->> 'bytes')::bigint, c.created_at`;
  return sql`select c.weights_blob, c.weights_bytes, c.created_at from ${checkpoints} c
      where ${which} and c.weights_blob is not null
    union all select ${file} from ${checkpoints} c, jsonb_array_elements(c.weights_files) as file
      where ${which} and jsonb_typeof(c.weights_files) = 'array'
    union all select ${file} from ${checkpoints} c join ${checkpointExports} e on e.checkpoint_id = c.id,
      jsonb_array_elements(e.files) as file where ${which} and jsonb_typeof(e.files) = 'array'`;
}
