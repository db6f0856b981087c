/**
 * Opens model folders that anybody may have made. A pattern of a tokenizer can backtrack for ever, and so can a chat template
 * loop, so a folder is first tried in a sandbox, with limits of time and memory. It is opened here only if it passed, and its
 * files are the same as then.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { blameModel, modelTextBytes } from "../dataset/model-text.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import { limitsFor } from "../sandbox/limits.ts";
import type { Limits } from "../sandbox/messages.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import { stampOf } from "./folder-stamps.ts";
import type { FolderToTry, TriedFolder, tryFolder } from "./folder-task.ts";

/** Bytes of a tokenizer for which a try gets more time. The largest that are published have 33 MB. */
const mostTimedBytes = 40 * 2 ** 20;

/** @throws MODEL_INVALID, MODEL_UNSUPPORTED, NOT_FOUND; UNAVAILABLE when aborted */
export async function tryInSandbox(sandbox: Sandbox, folder: FolderToTry, signal?: AbortSignal): Promise<TriedFolder> {
  return sandbox.run<typeof tryFolder>({
    file: programPath("models/folder-task"),
    name: "tryFolder",
    input: { path: resolve(folder.path), adapter: folder.adapter && resolve(folder.adapter) },
    limits: await limitsForFolder(folder.path),
    blame: blameModel(`Opening ${folder.path}`),
    signal,
  });
}

/** What may be used to load the tokenizer of a folder, and to work on so many bytes with it. */
export async function limitsForFolder(folder: string, bytes = 0): Promise<Limits> {
  return limitsFor(bytes + (await timedBytes(folder)));
}

async function timedBytes(folder: string): Promise<number> {
  const sizes = ["config.json", "tokenizer.json", "vocab.json", "merges.txt"].map(async (name) => {
    const found = await stat(join(folder, name)).catch(() => null);
    return found && found.size <= modelTextBytes.tokenizer ? found.size : 0;
  });
  return Math.min(
    mostTimedBytes,
    (await Promise.all(sizes)).reduce((a, b) => a + b, 0),
  );
}

export interface CheckedFolder {
  readonly folder: ModelFolder;
  /** Of its files when they were read (`stampOf`). */
  readonly stamp: string;
}

/** What cannot be used, how often that was found, and from when on it is tried again, in milliseconds since 1970. */
interface Refusal {
  readonly stamp: string;
  readonly error: SteplogError;
  readonly tries: number;
  readonly againAt: number;
}

type Verdict = { readonly opened: CheckedFolder } | Refusal;

const mostWaitMs = 24 * 3_600_000;

/**
 * Keeps what it found of each folder until a file of it changes. A refusal is tried again after five minutes, then ten, and so
 * on up to a day: a process that was given up may have been frozen, or killed for want of memory, with a folder that is good.
 */
export class FolderChecks {
  readonly #sandbox: Sandbox;
  readonly #againMs: number;
  readonly #verdicts = new Map<string, Verdict>();

  constructor(sandbox: Sandbox, againMs = 300_000) {
    this.#sandbox = sandbox;
    this.#againMs = againMs;
  }

  /**
   * @throws NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED; UNAVAILABLE when aborted, or when the folder changes meanwhile
   */
  async open(path: string, signal?: AbortSignal): Promise<CheckedFolder> {
    const stamp = await stampOf(path);
    const known = this.#verdicts.get(path);
    const same = known && stampIn(known) === stamp ? known : undefined;
    if (same && !isDue(same)) return openedBy(same);
    this.#verdicts.delete(path);
    const tries = same && "error" in same ? same.tries : 0;
    const verdict = await this.#judge(path, stamp, tries, signal);
    if ((await stampOf(path)) !== stamp) {
      throw new SteplogError("UNAVAILABLE", `${path} changed while it was read. Wait until it is complete.`);
    }
    this.#verdicts.set(path, verdict);
    return openedBy(verdict);
  }

  /** Forgets the folders that are not among the paths. */
  keep(paths: readonly string[]): void {
    for (const path of this.#verdicts.keys()) if (!paths.includes(path)) this.#verdicts.delete(path);
  }

  /** @throws what says nothing of the folder */
  async #judge(path: string, stamp: string, tries: number, signal?: AbortSignal): Promise<Verdict> {
    try {
      await tryInSandbox(this.#sandbox, { path }, signal);
      return { opened: { folder: await openModelFolder(path), stamp } };
    } catch (error) {
      const ofFolder = error instanceof SteplogError && /^MODEL_|^NOT_FOUND$/u.test(error.code);
      const againAt = Date.now() + Math.min(mostWaitMs, this.#againMs * 2 ** tries);
      if (ofFolder) return { stamp, error, tries: tries + 1, againAt };
      throw error;
    }
  }
}

function isDue(verdict: Verdict): boolean {
  return "error" in verdict && Date.now() >= verdict.againAt;
}

function stampIn(verdict: Verdict): string {
  return "opened" in verdict ? verdict.opened.stamp : verdict.stamp;
}

function openedBy(verdict: Verdict): CheckedFolder {
  if ("error" in verdict) throw verdict.error;
  return verdict.opened;
}
