/** The processes of an embedded Postgres: the server of a folder, and those that use it. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

/** The server of postmaster.pid, if that process is alive and is a Postgres; a stale file is deleted. */
export async function readPostmaster(cluster: string): Promise<Postmaster | null> {
  const file = join(cluster, "postmaster.pid");
  const lines = (await readFile(file, "utf8").catch(() => "")).split("\n");
  const pid = Number(lines[0]);
  if (!pid) return null;
  if (await isPostgres(pid)) return { pid, port: Number(lines[3]) };
  // In a container the next start reuses low pids, and Postgres would mistake another process for its predecessor.
  await rm(file, { force: true });
  return null;
}

async function isPostgres(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform === "linux") {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    return command.includes("postgres");
  }
  const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.includes("postgres");
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

export async function registerUser(home: string): Promise<string> {
  const file = join(home, "users", `${process.pid}.${randomUUID()}`);
  await mkdir(join(home, "users"), { recursive: true });
  await writeFile(file, "");
  return file;
}

/** A killed process leaves its file behind. A reused pid only keeps the server running. */
export async function liveUsers(home: string): Promise<number[]> {
  const live: number[] = [];
  for (const name of await readdir(join(home, "users")).catch((): string[] => [])) {
    const pid = Number.parseInt(name, 10);
    if (isAlive(pid)) live.push(pid);
    else await rm(join(home, "users", name), { force: true });
  }
  return live;
}
