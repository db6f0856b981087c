/** Downloads: logs of checkpoints and of runs, built on request from rows of the store, and weights, stored files. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { basename, dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { decodeGlobalID } from "@pothos/plugin-relay";
import { SteplogError } from "../../schema/errors.ts";
import { type LogParts, stepLogBytes, streamStepLog } from "../../schema/step-log.ts";
import type { Checkpoint, FineTune, WeightsFile } from "../../schema/tables.ts";
import { filesOf, singleFile } from "../../schema/weights-files.ts";
import { formOf } from "../../schema/weights-form.ts";
import { type OwnFile, type ProjectStore, withFiles } from "../../store/store.ts";
import { sendFile } from "./files.ts";

/** What a link returns never changes: logs only grow, and stored weights have the checkpoint's digest. */
const forEver = "private, max-age=31536000, immutable";

export async function sendLog(store: ProjectStore, id: string, request: IncomingMessage, response: ServerResponse) {
  const checkpoint = await find(store, id);
  const log = await store.checkpoints.logParts(checkpoint);
  if (!log) throw new SteplogError("NOT_FOUND", "The run of this checkpoint has no log yet.");
  response.setHeader("cache-control", forEver);
  await sendStored(log, await store.checkpoints.runOf(checkpoint), request, response);
}

/** The whole log of a run so far, whether or not it has checkpoints. */
export async function sendRunLog(store: ProjectStore, id: string, request: IncomingMessage, response: ServerResponse) {
  const fineTuneId = rowId(id, "FineTune");
  const log = await store.fineTunes.logParts(fineTuneId, null);
  if (!log) throw new SteplogError("NOT_FOUND", "There is no fine-tune with this id, or it has no log yet.");
  response.setHeader("cache-control", "private, no-cache");
  await sendStored(log, await store.fineTunes.get(fineTuneId), request, response);
}

async function sendStored(log: LogParts, run: FineTune | null, request: IncomingMessage, response: ServerResponse) {
  const etag = `"${Buffer.from(log.chain).toString("hex")}"`;
  response.setHeader("etag", etag);
  if (request.headers["if-none-match"]?.includes(etag)) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader("content-disposition", attachment(run, log, "steplog"));
  response.setHeader("content-length", stepLogBytes(log.headerBytes.length, log.entries, log.decayed));
  if (request.method === "HEAD") response.end();
  // A client that leaves ends the reading.
  else await pipeline(Readable.from(streamStepLog(log), { objectMode: false }), response);
}

/** The rows of a dataset, as they are stored. */
export async function sendDataset(store: ProjectStore, id: string, request: IncomingMessage, response: ServerResponse) {
  const dataset = await store.datasets.get(rowId(id, "Dataset"));
  if (!dataset) throw new SteplogError("NOT_FOUND", "There is no dataset with this id.");
  await sendStoredFile(
    await store.files.rows(dataset.id),
    named(`${fileName(dataset.name) || "dataset"}.jsonl`),
    request,
    response,
  );
}

/** Sends the file of this name; null stands for the weights, if they are a single file. */
export async function sendWeights(
  store: ProjectStore,
  id: string,
  name: string | null,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const checkpoint = await find(store, id);
  const file = chooseFile(checkpoint, name);
  await store.checkpoints.useWeights(checkpoint.id);
  const disposition =
    name === null ? attachment(await store.checkpoints.runOf(checkpoint), checkpoint, "safetensors") : named(file.name);
  await sendStoredFile(await store.files.weights(checkpoint.id, file.name), disposition, request, response);
}

/** Sends a file of a checkpoint in another form. */
export async function sendExport(
  store: ProjectStore,
  id: string,
  { form, name }: { readonly form: string; readonly name: string },
  request: IncomingMessage,
  response: ServerResponse,
) {
  const checkpoint = await find(store, id);
  const asked = formOf(form);
  const found = asked && (await store.exports.get(checkpoint.id, asked));
  if (!found) {
    const message = "Nobody has asked for this form of the checkpoint's weights.";
    throw new SteplogError("NOT_FOUND", `${message} Request it with the mutation materialiseCheckpoint.`);
  }
  if (!found.files) {
    throw new SteplogError("INVALID_STATE", `The files of this export are not stored; its status is ${found.status}.`);
  }
  await store.exports.used(found);
  const file = found.files.find((known) => known.name === name) ?? noSuchFile(found.files, "files");
  await sendStoredFile(
    await store.files.exported(checkpoint.id, asked, file.name),
    named(file.name),
    request,
    response,
  );
}

/** Sends the client to where the blob is, or sends it: the whole as it comes, a part from a file of this machine. */
async function sendStoredFile(file: OwnFile, disposition: string, request: IncomingMessage, response: ServerResponse) {
  const etag = `"${file.sha256}"`;
  response.setHeader("etag", etag);
  if (request.headers["if-none-match"]?.includes(etag)) {
    response.writeHead(304).end();
    return;
  }
  const isPart = partial.some((name) => name in request.headers);
  const link = request.method === "GET" && followsLinks(request) ? await file.link({ disposition }) : null;
  if (link !== null) {
    response.writeHead(302, { location: link, "cache-control": "private, no-store" }).end();
    return;
  }
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader("content-disposition", disposition);
  if (!isPart) {
    const whole = request.method === "HEAD" ? null : await file.open();
    response.setHeader("cache-control", forEver);
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("content-length", file.bytes);
    await (whole ? pipeline(whole, response) : response.end());
    return;
  }
  await withFiles(
    (one: OwnFile) => one.local(),
    async (pathOf) => {
      const path = await pathOf(file);
      response.setHeader("cache-control", forEver);
      await sendFile(request, response, { root: dirname(path), path: basename(path), cacheControl: false });
    },
  );
}

/** Headers by which a client asks for less than the whole. */
const partial = ["range", "if-modified-since", "if-match", "if-unmodified-since"] as const;

/** A script of a page may not: the bucket need not allow its origin. Browsers tell scripts from people; programs say neither. */
function followsLinks({ headers }: IncomingMessage): boolean {
  return headers["sec-fetch-site"] === undefined || headers["sec-fetch-mode"] === "navigate";
}

function chooseFile(checkpoint: Checkpoint, name: string | null): WeightsFile {
  const files = filesOf(checkpoint);
  if (files.length === 0) {
    const state = `The weights of this checkpoint are not stored; their status is ${checkpoint.weightsStatus}.`;
    throw new SteplogError("INVALID_STATE", `${state} Request them with the mutation materialiseCheckpoint.`);
  }
  const file = name === null ? singleFile(checkpoint) : files.find((known) => known.name === name);
  return file ?? noSuchFile(files, "weightsFiles");
}

function noSuchFile(files: readonly WeightsFile[], field: string): never {
  const names = files.map((known) => known.name).join(", ");
  throw new SteplogError(
    "NOT_FOUND",
    `There is no such file. The files are ${names}; the field ${field} has their links.`,
  );
}

/** Accepts the id that the API returns, or the row id inside it. */
async function find(store: ProjectStore, id: string): Promise<Checkpoint> {
  const checkpoint = await store.checkpoints.get(rowId(id, "Checkpoint"));
  if (!checkpoint) throw new SteplogError("NOT_FOUND", "There is no checkpoint with this id.");
  return checkpoint;
}

function rowId(id: string, type: "Checkpoint" | "Dataset" | "FineTune"): string {
  try {
    const decoded = decodeGlobalID(id);
    return decoded.typename === type ? decoded.id : id;
  } catch {
    return id;
  }
}

function attachment(run: FineTune | null, { entries }: Pick<Checkpoint, "entries">, extension: string): string {
  return named(`${fileName(run?.name ?? "") || "fine-tune"}-${entries}.${extension}`);
}

/** What is left of a name that a file may have. */
function fileName(name: string): string {
  return name.replaceAll(/[^\w.-]+/gu, "-").replaceAll(/^[.-]+|-+$/gu, "");
}

function named(file: string): string {
  return `attachment; filename="${file}"`;
}
