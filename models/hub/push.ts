/**
 * Pushing a rebuilt model: its files, its log and its card, to a repository of the hub. All of them appear in one commit, or
 * none does: large files go to the hub's storage first, where nobody sees them until the commit names them. The commit also
 * deletes weights and adapters of earlier pushes that it does not replace, since loaders would take them for part of the model;
 * it is made on the state that was read for that, and refused by the hub if there is a newer one.
 */
import { stat } from "node:fs/promises";
import { commitIter, createRepo, modelInfo, whoAmI } from "@huggingface/hub";
import { SteplogError } from "../../schema/errors.ts";
import { persist } from "./download.ts";
import type { Hub } from "./hub.ts";
import type { HubAccess } from "./line.ts";
import { saidBy } from "./line.ts";
import type { HubToken } from "./token.ts";

export interface PushedFile {
  /** Name in the root folder of the repository. */
  readonly name: string;
  /** A file:// URL, or the bytes themselves. */
  readonly content: URL | Blob;
}

export interface Push {
  /** ORGANISATION/NAME, as `pushTarget` gives it. */
  readonly repository: string;
  /** Of a repository that has to be made. One that is public is refused. */
  readonly isPrivate: boolean;
  readonly title: string;
  readonly files: readonly PushedFile[];
}

export interface PushOptions {
  readonly pausesMs: readonly number[];
  readonly onProgress: (stage: "hashing" | "uploading", done: number, total: number) => void;
}

export interface Pushed {
  readonly repository: string;
  readonly url: string;
  /** 40 hex digits. */
  readonly commit: string;
  /** Whether the push made the repository. */
  readonly created: boolean;
}

/**
 * Checks, before any work, that the token may push: that there is one, that the hub knows it, that it is not for reading only,
 * and that a model that is to be private does not go where everybody can see it. A name without an organisation is the
 * token's own user's.
 * @returns the whole name of the repository
 * @throws UNAUTHENTICATED, CONFLICT, INVALID_ARGUMENT, UNAVAILABLE
 */
export async function pushTarget(hub: Hub, name: string, isPrivate: boolean): Promise<string> {
  if (!/^(?:[\w-][\w.-]*\/)?[\w-][\w.-]*$/u.test(name)) {
    throw new SteplogError("INVALID_ARGUMENT", `${JSON.stringify(name)} is no repository: write ORGANISATION/NAME.`);
  }
  const token = needToken(hub.access);
  const user = await ask(hub, name, (params) => whoAmI({ ...params, ...bearer }));
  if (user.auth.accessToken?.role === "read") {
    throw new SteplogError(
      "UNAUTHENTICATED",
      `The token in ${token.from} is for reading only. Set one that may write.`,
    );
  }
  const repository = name.includes("/") ? name : `${user.name}/${name}`;
  if (isPrivate) await refusePublic(hub, repository);
  return repository;
}

/** @throws UNAUTHENTICATED, NOT_FOUND, CONFLICT, UNAVAILABLE, INVALID_ARGUMENT; then nothing of the model is in the repository */
export async function pushModel(hub: Hub, push: Push, options: PushOptions): Promise<Pushed> {
  const created = await makeRepository(hub, push);
  const patience = { pausesMs: options.pausesMs, signal: new AbortController().signal };
  const commit = await persist(
    patience,
    async () => false,
    () => commitFiles(hub, push, options),
  );
  const url = `${hub.access.endpoint}/${push.repository}`;
  return { repository: push.repository, url, commit, created };
}

/** The library wants a token of this form, and ours goes into the requests by itself (line.ts). */
const bearer = { accessToken: "hf_" };

type Params = { hubUrl: string; fetch: typeof fetch };

async function ask<T>(hub: Hub, repository: string, question: (params: Params) => Promise<T>): Promise<T> {
  const line = hub.line((response) => refusal(response, hub.access, repository));
  try {
    return await line.ask(question);
  } finally {
    line.close();
  }
}

function needToken({ token }: HubAccess): HubToken {
  if (token) return token;
  const advice = "Set HF_TOKEN to a token that may write, or log in with hf auth login.";
  throw new SteplogError("UNAUTHENTICATED", `Pushing to the hub needs a token. ${advice}`);
}

/** Null where there is none, or none that the token may see. */
async function isPublic(hub: Hub, repository: string): Promise<boolean | null> {
  try {
    const info = await ask(hub, repository, (params) => modelInfo({ ...params, name: repository, revision: "main" }));
    return !info.private;
  } catch (error) {
    if (error instanceof SteplogError && (error.code === "NOT_FOUND" || error.code === "UNAUTHENTICATED")) return null;
    throw error;
  }
}

async function refusePublic(hub: Hub, repository: string): Promise<void> {
  if (!(await isPublic(hub, repository))) return;
  const advice = "Make it private on the hub, or give another name.";
  throw new SteplogError("CONFLICT", `${repository} exists and is public. ${advice}`);
}

/** Whether it had to be made. */
async function makeRepository(hub: Hub, { repository, isPrivate }: Push): Promise<boolean> {
  if (isPrivate) await refusePublic(hub, repository);
  if ((await isPublic(hub, repository)) !== null) return false;
  try {
    const repo = { type: "model", name: repository } as const;
    const visibility = isPrivate ? ({ visibility: "private" } as const) : {};
    await ask(hub, repository, (params) => createRepo({ ...params, ...bearer, repo, ...visibility }));
    return true;
  } catch (error) {
    // It exists all the same. A private push goes only where it is known that few can see it.
    if (!(error instanceof SteplogError && error.code === "CONFLICT") || isPrivate) throw error;
    return false;
  }
}

/** Files that are of a model or of its log: those of an earlier push go when the new one has none of their name. */
const ours = /\.safetensors(?:\.index\.json)?$|^adapter_config\.json$|\.steplog$/u;

/** The commit. */
async function commitFiles(hub: Hub, { repository, title, files }: Push, { onProgress }: PushOptions): Promise<string> {
  const parent = await hub.commitOf(repository, "main");
  const names = new Set(files.map(({ name }) => name));
  const stale = parent.files.filter(({ name }) => ours.test(name) && !names.has(name));
  const operations = [
    ...files.map(({ name, content }) => ({ operation: "addOrUpdate" as const, path: name, content })),
    ...stale.map(({ name }) => ({ operation: "delete" as const, path: name })),
  ];
  const total = await totalOf(files);
  let sent = 0;
  const line = hub.line(
    (response) => refusal(response, hub.access, repository),
    (bytes) => onProgress("uploading", Math.min(total, (sent += bytes)), total),
  );
  try {
    return await line.ask(async (params) => {
      const repo = { type: "model", name: repository } as const;
      // Not by xet, as in downloads: one way for all hubs and mirrors.
      const steps = commitIter({ ...params, repo, title, operations, parentCommit: parent.commit, useXet: false });
      for (;;) {
        const step = await steps.next();
        if (step.done) return oidOf(step.value);
        // Hashing says nothing to the hub for minutes.
        line.heard();
      }
    });
  } finally {
    line.close();
  }
}

function oidOf(output: { readonly commit: { readonly oid: unknown } } | undefined): string {
  const oid = output?.commit.oid;
  if (typeof oid === "string") return oid;
  throw new SteplogError("UNAVAILABLE", "The hub took the files but named no commit.");
}

async function totalOf(files: readonly PushedFile[]): Promise<number> {
  const sizes = await Promise.all(
    files.map(async ({ content }) => (content instanceof Blob ? content.size : (await stat(content)).size)),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function refusal(response: Response, { token }: HubAccess, repository: string): Promise<SteplogError> {
  const { status } = response;
  const said = await saidBy(response);
  const source = token?.from ?? "HF_TOKEN";
  if (status === 401) {
    return new SteplogError("UNAUTHENTICATED", `The hub refuses the token in ${source}. Log in anew. ${said}.`);
  }
  if (status === 403) {
    const advice = `Check the name, and that the token in ${source} may write there.`;
    return new SteplogError("UNAUTHENTICATED", `${repository} cannot be written. ${advice} ${said}.`);
  }
  if (status === 404 || status === 410) {
    return new SteplogError("NOT_FOUND", `The hub has no ${repository}, or no such organisation. ${said}.`);
  }
  if (status === 409 || status === 412) {
    return new SteplogError("CONFLICT", `${repository} has changed meanwhile, or exists. Push again. ${said}.`);
  }
  const passing = status === 408 || status === 429 || status >= 500;
  return new SteplogError(passing ? "UNAVAILABLE" : "INVALID_ARGUMENT", `${said} about ${repository}.`);
}
