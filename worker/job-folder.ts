/**
 * A job's folder for files of weights: in the system's folder for temporary files, deleted after the job. Its name says whose
 * it is, so that what a killed worker left is deleted when the next one starts on this machine.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostInNames, isAlive } from "../engine/model/files/partial.ts";
import { asDiskError } from "../schema/errors.ts";

const mine = `steplog-worker-${hostInNames}-`;

/** Runs `work` with an empty folder. @throws UNAVAILABLE naming the folder for temporary files when it cannot be used */
export async function inJobFolder(work: (folder: string) => Promise<void>, parent = tmpdir()): Promise<void> {
  const folder = await mkdtemp(join(parent, `${mine}${process.pid}-`)).catch((error: unknown) => {
    throw asDiskError(error, `The folder for temporary files, ${parent},`);
  });
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Deletes the folders of dead workers. Called before the first job, so one with our own process id is not ours. */
export async function sweepJobFolders(parent = tmpdir()): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(mine) ? Number.parseInt(name.slice(mine.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || (pid !== process.pid && isAlive(pid))) continue;
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}
