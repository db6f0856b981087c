/** Folders that are being made: they have another name until they are complete, and go when their process has died. */
import { readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** This machine's name, as part of a file's name: machines may share a folder, but not their process ids. */
export const hostInNames = hostname().replaceAll(/[^\w.-]/gu, "_");

/** Where to make what will be renamed to `out`. What dead processes of this machine left there is deleted. */
export async function partialFolder(out: string): Promise<string> {
  const parent = dirname(out);
  const start = `.${basename(out)}.partial-${hostInNames}-`;
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = name.startsWith(start) ? Number.parseInt(name.slice(start.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
  return join(parent, `${start}${process.pid}`);
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
