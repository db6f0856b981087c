/**
 * Folders of rebuilt checkpoints, kept to be mapped again: BASE-CHAIN (both hashes) in one folder that all workers of this
 * machine may share. A folder appears complete, by a rename, and goes the same way, by another name, before it is deleted: what
 * is mapped stays valid. One whose files are not what they were (kept-record.ts) goes too, and is made again. Its own time tells when it was last used; beyond the budget the one used longest ago goes first, but
 * none that this worker's requests hold: they may not have mapped it yet, and what is mapped takes its room even when deleted.
 */
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { hostInNames, isAlive, partialFolder } from "../../engine/model/files/partial.ts";
import { asDiskError } from "../../schema/errors.ts";
import { timeOf } from "../../store/blobs/writing.ts";
import { isAsRecorded, recordName, writeRecord } from "./kept-record.ts";

export interface KeptModel {
  /** Hashes in hex: of the base, and the chain hash of the log. */
  readonly base: string;
  readonly chain: string;
}

export interface KeptSweepOptions {
  /** Those of these that are checkpoints. */
  readonly known: (models: readonly KeptModel[]) => Promise<readonly KeptModel[]>;
  readonly dryRun: boolean;
  /** An hour when left out. */
  readonly freshMs?: number;
}

export interface KeptReport {
  readonly swept: readonly string[];
  readonly bytes: number;
}

const hourMs = 3_600_000;
const nameOf = ({ base, chain }: KeptModel) => `${base}-${chain}`;
const namePattern = /^[0-9a-f]+-[0-9a-f]+$/u;

export class KeptFolders {
  readonly #dir: string;
  readonly #budgetBytes: number;
  readonly #held: () => readonly KeptModel[];
  readonly #damaged: (path: string) => void;
  /** By name: those of this process have one name while they are made. */
  readonly #making = new Map<string, Promise<string>>();

  /**
   * @param held models of the requests that are being answered
   * @param damaged told of folders that are deleted since a file of them has changed or has gone
   */
  constructor(
    dir: string,
    budgetBytes: number,
    held: () => readonly KeptModel[] = () => [],
    damaged: (path: string) => void = () => {},
  ) {
    this.#dir = dir;
    this.#budgetBytes = budgetBytes;
    this.#held = held;
    this.#damaged = damaged;
  }

  /** The folder, which counts as used now; null if it is not there, or any more as it was made. */
  async find(model: KeptModel): Promise<string | null> {
    const path = join(this.#dir, nameOf(model));
    const now = new Date();
    const isThere = await utimes(path, now, now).then(
      () => true,
      () => false,
    );
    if (!isThere || (await isAsRecorded(path))) return isThere ? path : null;
    this.#damaged(path);
    await remove(path);
    return null;
  }

  /**
   * The folder, filled by `fill` if it is not there.
   * @throws UNAVAILABLE when the disk cannot be used, and what `fill` throws
   */
  async make(model: KeptModel, fill: (folder: string) => Promise<void>): Promise<string> {
    const name = nameOf(model);
    const before = this.#making.get(name);
    const made = (async () => {
      await before?.catch(() => {});
      return this.#make(model, fill);
    })();
    this.#making.set(name, made);
    try {
      return await made;
    } finally {
      if (this.#making.get(name) === made) this.#making.delete(name);
    }
  }

  async #make(model: KeptModel, fill: (folder: string) => Promise<void>): Promise<string> {
    const known = await this.find(model);
    if (known !== null) return known;
    const path = join(this.#dir, nameOf(model));
    try {
      await mkdir(this.#dir, { recursive: true });
      const partial = await partialFolder(path);
      await rm(partial, { recursive: true, force: true });
      try {
        await mkdir(partial);
        await fill(partial);
        await writeRecord(partial);
      } catch (error) {
        // It may have taken the room that others need.
        await rm(partial, { recursive: true, force: true });
        throw error;
      }
      await rename(partial, path).catch((error: unknown) => this.#unlessMade(model, partial, error));
    } catch (error) {
      throw asDiskError(error, path);
    }
    await this.#sweep(path);
    return path;
  }

  /**
   * Deletes folders of checkpoints that are no more, then the least recently used ones until the rest fits, and what dead processes
   * left; but nothing that was used within `freshMs`: whoever has just found it is about to map it. What is mapped stays valid.
   */
  async sweep({ known, dryRun, freshMs = hourMs }: KeptSweepOptions): Promise<KeptReport> {
    const there = await readdir(this.#dir).catch(() => []);
    const left = there.filter((name) => isLeft(name)).map((name) => ({ path: join(this.#dir, name), bytes: 0 }));
    const folders = await this.#folders().catch(() => []);
    const places = folders.map(({ path }) => placeOf(path));
    const names = new Set((await known(places)).map(nameOf));
    const now = folders.length > 0 ? await timeOf(this.#dir) : 0;
    let beyond = folders.reduce((sum, { bytes }) => sum + bytes, 0) - this.#budgetBytes;
    const swept = [];
    for (const folder of folders.toSorted((a, b) => a.usedMs - b.usedMs)) {
      const isNeeded = names.has(basename(folder.path)) && beyond <= 0;
      if (isNeeded || now - folder.usedMs < freshMs) continue;
      swept.push(folder);
      beyond -= folder.bytes;
    }
    if (!dryRun) for (const { path } of [...left, ...swept]) await remove(path);
    const bytes = swept.reduce((sum, folder) => sum + folder.bytes, 0);
    return { swept: [...left, ...swept].map(({ path }) => path), bytes };
  }

  /** Another worker may have made it meanwhile. */
  async #unlessMade(model: KeptModel, partial: string, error: unknown): Promise<void> {
    await rm(partial, { recursive: true, force: true });
    if ((await this.find(model)) === null) throw error;
  }

  /** All but the one that was just made and those that are held may go. */
  async #sweep(made: string): Promise<void> {
    const folders = await this.#folders();
    let bytes = folders.reduce((sum, folder) => sum + folder.bytes, 0);
    for (const { path, bytes: own } of folders.toSorted((a, b) => a.usedMs - b.usedMs)) {
      if (bytes <= this.#budgetBytes) return;
      if (path === made || this.#held().some((model) => nameOf(model) === basename(path))) continue;
      await remove(path);
      bytes -= own;
    }
  }

  async #folders() {
    const names = (await readdir(this.#dir)).filter((name) => namePattern.test(name));
    const seen = await Promise.all(names.map((name) => measure(join(this.#dir, name)).catch(() => null)));
    return seen.filter((folder) => folder !== null);
  }
}

function placeOf(path: string): KeptModel {
  const [base = "", chain = ""] = basename(path).split("-");
  return { base, chain };
}

/** What a dead process of this machine was deleting, or making. */
function isLeft(name: string): boolean {
  const [, leaving] = /\.leaving-(\d+)$/u.exec(name) ?? [];
  const start = name.indexOf(`.partial-${hostInNames}-`);
  const pid = Number(leaving ?? (start < 0 ? Number.NaN : name.slice(start + `.partial-${hostInNames}-`.length)));
  return Number.isSafeInteger(pid) && !isAlive(pid);
}

/** Links count for nothing: their bytes are the store's. Neither does the record, as if a folder had its model alone. */
async function measure(path: string) {
  const { mtimeMs } = await stat(path);
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== recordName);
  const sizes = await Promise.all(files.map(async ({ name }) => (await stat(join(path, name))).size));
  return { path, usedMs: mtimeMs, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function remove(path: string): Promise<void> {
  const leaving = `${path}.leaving-${process.pid}`;
  await rename(path, leaving).catch(() => {});
  await rm(leaving, { recursive: true, force: true });
}
