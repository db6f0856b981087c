/**
 * What killed processes leave of embedded clusters.
 *
 * A stand-in is the folder for temporary files that holds root's data where Postgres cannot reach the folder that was asked
 * for (embedded-install.ts). It is data like any other, so it is deleted only when all of this holds: the folder that it
 * stands in for was itself in the folder for temporary files and is gone, every process that used it is dead, and so is its
 * server.
 */
import { randomUUID } from "node:crypto";
import { lstat, readFile, readdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { isAlive, liveUsers, readPostmaster } from "./embedded-processes.ts";

const prefix = "steplog-postgres-";
/** A stand-in that is being deleted. Whatever has this name is nobody's. */
const sweptPrefix = `${prefix}swept-`;
/** File in a stand-in with the path of the folder that it stands in for. Those of earlier releases lack it, and stay. */
const standsForFile = "stands-for";

export function standInName(hash: string): string {
  return prefix + hash;
}

export async function noteStandIn(home: string, wanted: string): Promise<void> {
  await writeFile(join(home, standsForFile), wanted);
}

/** Deletes the stand-ins of this user that nobody can need any more. What cannot be deleted stays. */
export async function sweepStandIns(parent = tmpdir()): Promise<void> {
  const names = (await readdir(parent).catch((): string[] => [])).filter((name) => name.startsWith(prefix));
  for (const name of names) await sweep(parent, name).catch(() => {});
}

async function sweep(parent: string, name: string): Promise<void> {
  const home = join(parent, name);
  const entry = await lstat(home);
  if (!entry.isDirectory() || entry.uid !== process.getuid?.()) return;
  const swept = name.startsWith(sweptPrefix);
  if (!swept && !(await isForsaken(home, parent))) return;
  // Under a name that no start looks for, so that a half deleted cluster is never used.
  const doomed = swept ? home : join(parent, name.replace(prefix, sweptPrefix));
  if (!swept) await rename(home, doomed);
  await rm(doomed, { recursive: true, force: true });
}

async function isForsaken(home: string, parent: string): Promise<boolean> {
  const wanted = await readFile(join(home, standsForFile), "utf8").catch(() => "");
  const temporary = [parent, await realpath(parent)].some((folder) => wanted.startsWith(folder + sep));
  if (!temporary || !(await isGone(wanted))) return false;
  if ((await liveUsers(home)).length > 0) return false;
  return (await readPostmaster(join(home, "cluster"))) === null;
}

/** A folder that cannot be looked at, as on a disk that fails, is not gone. */
async function isGone(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT",
  );
}

// What is being made in a home

const thisProcess = randomUUID();

/** A path in the home for what is renamed when it is complete; its name says who makes it. */
export function partialPath(home: string): string {
  return join(home, `partial.${process.pid}.${thisProcess}.${randomUUID()}`);
}

/** Deletes what dead processes were making. In a container, a dead one may have had our own process id. */
export async function deleteDeadPartials(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const [, pid, id] = /^partial\.(\d+)\.([\da-f-]+)\./u.exec(name) ?? [];
    if (pid === undefined || id === thisProcess || (Number(pid) !== process.pid && isAlive(Number(pid)))) continue;
    await rm(join(home, name), { recursive: true, force: true });
  }
}
