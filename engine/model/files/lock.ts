/**
 * A lock between processes: a file with the id and the machine of the process that holds it, who touches it every few seconds. A
 * dead process of this machine loses it at once; one of another machine, which cannot be asked, when it has not touched it
 * for a while.
 */
import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { SteplogError } from "../../../schema/errors.ts";
import { isAlive } from "./partial.ts";

const touchMs = 5_000;
/** Far more than a touch, since machines that share a folder also differ in their clocks. */
const lapsesMs = 120_000;
/** Of holders who touch theirs: those of earlier releases do not. */
const touched = "touched";

/** CONFLICT: somebody who lives holds it. */
export class LockHeld extends SteplogError {
  constructor(message: string) {
    super("CONFLICT", message);
  }
}

/**
 * Runs `work` under the lock, whose folder exists.
 * @param doing what the holder of the lock does, such as "adding this model"
 * @throws LockHeld when another process holds it, or this one already
 */
export async function withLock<T>(path: string, doing: string, work: () => Promise<T>): Promise<T> {
  await takeLock(path, doing);
  mine.add(path);
  const timer = setInterval(() => void touch(path), touchMs);
  timer.unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    mine.delete(path);
    await rm(path, { force: true });
  }
}

/** Those that this process holds: in a container, the process before it had the same id. */
const mine = new Set<string>();

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

async function takeLock(path: string, doing: string): Promise<void> {
  for (let turn = 0; turn < 2; turn++) {
    try {
      await writeFile(path, `${process.pid} ${hostname()} ${touched}`, { flag: "wx" });
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    const holder = await liveHolder(path);
    if (holder) throw new LockHeld(`${holder} is ${doing}. Wait for it; if it is gone, delete ${path}.`);
    await rm(path, { force: true });
  }
  throw new LockHeld(`Another process is ${doing}: ${path}.`);
}

/** Who holds it, in words; null for nobody who lives. */
async function liveHolder(path: string): Promise<string | null> {
  const [pid = "", host = "", touches] = (await readFile(path, "utf8").catch(() => "")).split(" ");
  const words = `Process ${pid} on ${host}`;
  if (host === hostname()) {
    const lives = Number(pid) === process.pid ? mine.has(path) : isAlive(Number(pid));
    return lives ? words : null;
  }
  const at = await stat(path).catch(() => null);
  // One that was killed before it wrote its name left an empty file.
  const lapses = touches === touched || pid === "";
  const lapsed = at === null || (lapses && Date.now() - at.mtimeMs > lapsesMs);
  return lapsed ? null : words;
}
