/**
 * A folder with copies of blobs that are elsewhere. It has a limit of bytes, and all processes of this machine may share it.
 *
 *   files/SHA256                         copies, whole and checked
 *   incoming/SHA256~HOST~PID             copies that are being made; what a dead process left is gone on with
 *   marks/SHA256.used                    its time says when the copy was last used
 *   marks/SHA256.use~HOST~PID~NUMBER     somebody uses it
 *   marks/SHA256.leaving                 somebody wants to delete it
 *
 * What must stay true: a copy that is used is not deleted. Who uses one first says so, and then looks whether it is leaving. Who
 * deletes one first says so, and then looks whether it is used. So at least one of the two sees the other.
 */
import { mkdir, open, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SteplogError, asDiskError } from "../../schema/errors.ts";
import { formatBytes } from "../../schema/units.ts";
import { type LocalFile, isHash, otherBytes } from "./blobs.ts";
import { removeAbandoned, timeOf } from "./writing.ts";

/**
 * Writes a blob to `path`, where the start of it may be already, and returns the SHA-256 of the whole file.
 * @param needRoom to be called with the bytes that are still to come, before they are written
 */
export type CopyBlob = (path: string, needRoom: (bytes: number) => Promise<void>) => Promise<string>;

interface BlobSum {
  count: number;
  bytes: number;
}

interface SweepOptions {
  readonly isNamed: (hashes: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly dryRun: boolean;
  readonly freshMs: number;
}

const host = hostname().replaceAll(/[^\w.-]/gu, "_");
/** Uses of this process, by their numbers. */
const uses = new Set<string>();
let lastUse = 0;
/** Marks of other hosts count for so long; those who use a copy refresh theirs more often. */
const foreignMs = 3 * 3_600_000;
const refreshMs = 3_600_000;
/** Deleting a file takes less. A mark that has been waited for so long is a dead process'. */
const usualLeavingMs = 10_000;

export class CopiedFiles {
  readonly #dir: string;
  readonly #budgetBytes: number;
  readonly #leavingMs: number;
  readonly #making = new Map<string, Promise<void>>();
  /** Bytes that copies which are being made here still need. */
  #reserved = 0;
  readonly #refreshing: NodeJS.Timeout;
  readonly #marks = new Set<string>();

  private constructor(dir: string, budgetBytes: number, leavingMs: number) {
    this.#dir = dir;
    this.#budgetBytes = budgetBytes;
    this.#leavingMs = leavingMs;
    this.#refreshing = setInterval(() => void this.#refresh(), refreshMs).unref();
  }

  /** Creates the folder if it is missing. @throws UNAVAILABLE */
  static async open(dir: string, budgetBytes: number, leavingMs = usualLeavingMs): Promise<CopiedFiles> {
    try {
      for (const name of ["files", "incoming", "marks"]) await mkdir(join(dir, name), { recursive: true });
      await removeAbandoned(join(dir, "incoming"));
    } catch (error) {
      throw asDiskError(error, `The cache folder ${dir}`);
    }
    return new CopiedFiles(dir, budgetBytes, leavingMs);
  }

  close(): void {
    clearInterval(this.#refreshing);
  }

  /** @throws DATA_CORRUPT when other bytes came; UNAVAILABLE without room; and what `copy` throws */
  async use(sha256: string, copy: CopyBlob): Promise<LocalFile> {
    const mark = this.#markOf(sha256, `use~${host}~${process.pid}~${(lastUse += 1)}`);
    const release = () => {
      this.#marks.delete(mark);
      uses.delete(mark);
      void rm(mark, { force: true }).catch(() => {});
    };
    try {
      uses.add(mark);
      this.#marks.add(mark);
      await writeFile(mark, "");
      await this.#untilNotLeaving(sha256);
      const path = this.#pathOf(sha256);
      if (!(await isThere(path))) await this.#make(sha256, copy);
      await writeFile(this.#markOf(sha256, "used"), "");
      return { path, isCopy: true, release };
    } catch (error) {
      release();
      throw asDiskError(error, `The cache folder ${this.#dir}`);
    }
  }

  /** Two that want the same copy wait for one. */
  async #make(sha256: string, copy: CopyBlob): Promise<void> {
    const making = this.#making.get(sha256) ?? this.#makeNow(sha256, copy);
    this.#making.set(sha256, making);
    try {
      await making;
    } finally {
      this.#making.delete(sha256);
    }
  }

  async #makeNow(sha256: string, copy: CopyBlob): Promise<void> {
    const partial = await this.#partialOf(sha256);
    let reserved = 0;
    const needRoom = async (bytes: number) => {
      this.#reserved += bytes - reserved;
      reserved = bytes;
      await this.#makeRoom();
    };
    try {
      const isBegun = await isThere(partial);
      let seen = await copy(partial, needRoom);
      if (seen !== sha256) await rm(partial, { force: true });
      // What was there may have been damaged here.
      if (seen !== sha256 && isBegun) seen = await copy(partial, needRoom);
      if (seen !== sha256) {
        await rm(partial, { force: true });
        throw otherBytes(`The stored file ${sha256}`, seen);
      }
      await rename(partial, this.#pathOf(sha256));
    } finally {
      this.#reserved -= reserved;
    }
  }

  /** Where to make it; with what a dead process of this machine has of it. */
  async #partialOf(sha256: string): Promise<string> {
    const incoming = join(this.#dir, "incoming");
    const mine = join(incoming, `${sha256}~${host}~${process.pid}`);
    for (const name of await readdir(incoming)) {
      const [its, its_host, pid] = name.split("~");
      if (its !== sha256 || its_host !== host || isAlive(Number(pid))) continue;
      await rename(join(incoming, name), mine).catch(() => {});
    }
    return mine;
  }

  /** Deletes what was used longest ago, until what is to come fits. @throws UNAVAILABLE */
  async #makeRoom(): Promise<void> {
    const copies = await this.#byLastUse();
    let needed = copies.reduce((sum, { bytes }) => sum + bytes, this.#reserved);
    for (const { sha256, bytes } of copies) {
      if (needed <= this.#budgetBytes) return;
      if (await this.#delete(sha256)) needed -= bytes;
    }
    if (needed <= this.#budgetBytes) return;
    const [limit, want] = [formatBytes(this.#budgetBytes), formatBytes(needed)];
    const message = `The cache folder ${this.#dir} may have ${limit}, and what is used now needs ${want}.`;
    throw new SteplogError("UNAVAILABLE", `${message} Raise STEPLOG_CACHE_DISK.`);
  }

  async #byLastUse() {
    const names = (await readdir(join(this.#dir, "files"))).filter(isHash);
    const copies = names.map(async (sha256) => {
      const file = await stat(this.#pathOf(sha256)).catch(() => null);
      const used = await stat(this.#markOf(sha256, "used")).catch(() => file);
      return file && used && { sha256, bytes: file.size, usedMs: used.mtimeMs };
    });
    const there = (await Promise.all(copies)).filter((copy) => copy !== null);
    return there.toSorted((a, b) => a.usedMs - b.usedMs);
  }

  /** Deletes a copy. False if somebody uses it, or deletes it already. */
  async #delete(sha256: string): Promise<boolean> {
    const leaving = this.#markOf(sha256, "leaving");
    if (!(await createNew(leaving))) return false;
    try {
      if (await this.#isUsed(sha256)) return false;
      await rm(this.#pathOf(sha256), { force: true });
      await rm(this.#markOf(sha256, "used"), { force: true });
      return true;
    } finally {
      await rm(leaving, { force: true });
    }
  }

  /** Deletes the copy of a blob that is gone, unless it is used. */
  async forget(sha256: string): Promise<void> {
    await this.#delete(sha256);
  }

  /**
   * Deletes copies that are not named, and then the least recently used ones until the rest fits the budget, but none that is used or
   * was within `freshMs`. With `dryRun` it only says which these are.
   */
  async sweep({ isNamed, dryRun, freshMs }: SweepOptions): Promise<Record<"swept" | "kept", BlobSum>> {
    const copies = await this.#byLastUse();
    const named = await isNamed(copies.map(({ sha256 }) => sha256));
    const now = await timeOf(join(this.#dir, "marks"));
    const report = { swept: { count: 0, bytes: 0 }, kept: { count: 0, bytes: 0 } };
    let beyond = copies.reduce((sum, { bytes }) => sum + bytes, this.#reserved) - this.#budgetBytes;
    // Those without a name first: what they free need not be taken from the others.
    for (const { sha256, bytes, usedMs } of copies.toSorted(
      (a, b) => Number(named.has(a.sha256)) - Number(named.has(b.sha256)),
    )) {
      const isDue = now - usedMs >= freshMs && (!named.has(sha256) || beyond > 0);
      const isGone = isDue && (dryRun ? !(await this.#isUsed(sha256)) : await this.#delete(sha256));
      if (isGone) beyond -= bytes;
      const sum = isGone ? report.swept : report.kept;
      sum.count += 1;
      sum.bytes += bytes;
    }
    return report;
  }

  async #isUsed(sha256: string): Promise<boolean> {
    const marks = join(this.#dir, "marks");
    for (const name of await readdir(marks)) {
      if (name.startsWith(`${sha256}.use~`) && (await isLive(join(marks, name)))) return true;
    }
    return false;
  }

  async #untilNotLeaving(sha256: string): Promise<void> {
    const leaving = this.#markOf(sha256, "leaving");
    for (let [seen, since] = ["", performance.now()]; ;) {
      const found = await stat(leaving, { bigint: true }).catch(() => null);
      if (!found) return;
      const mark = `${found.ino} ${found.ctimeNs}`;
      if (mark !== seen) [seen, since] = [mark, performance.now()];
      else if (performance.now() - since > this.#leavingMs) await rm(leaving, { force: true });
      await delay(5);
    }
  }

  async #refresh(): Promise<void> {
    for (const mark of this.#marks) await truncate(mark).catch(() => {});
  }

  #pathOf(sha256: string): string {
    return join(this.#dir, "files", sha256);
  }

  #markOf(sha256: string, what: string): string {
    return join(this.#dir, "marks", `${sha256}.${what}`);
  }
}

/** Whether whoever made the mark still uses the copy; the mark of a dead process is deleted. */
async function isLive(mark: string): Promise<boolean> {
  const [, its, pid] = mark.slice(mark.lastIndexOf(".use~")).split("~");
  const found = await stat(mark).catch(() => null);
  if (!found) return false;
  const isMine = its === host && Number(pid) === process.pid;
  const isRecent = async () => (await timeOf(dirname(mark))) - found.mtimeMs < foreignMs;
  const live = isMine ? uses.has(mark) : its === host ? isAlive(Number(pid)) : await isRecent();
  if (!live) await rm(mark, { force: true });
  return live;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** False if it exists. */
async function createNew(path: string): Promise<boolean> {
  return open(path, "wx").then(
    (file) => file.close().then(() => true),
    () => false,
  );
}
