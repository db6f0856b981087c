/** What doctor looks at on this machine: Node, disk, limits, memory, the port. */
import { readFile, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { modelSummary } from "../../models/registration.ts";
import { modelNames } from "../../models/folder-stamps.ts";
import { asSteplogError } from "../../schema/errors.ts";
import { isFileError } from "../../schema/file-errors.ts";
import { formatBytes } from "../../schema/units.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const leastNode = [20, 20] as const;

export function nodeVersion(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isEnough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  if (isEnough) return ok("node", `Node.js ${version}`);
  return fail("node", `Node.js ${version} is too old.`, `Install ${leastNode.join(".")} or later: https://nodejs.org`);
}

const gigabyte = 1e9;

/** A finding for each disk that the folders are on. */
export async function disksRoom(folders: readonly string[]): Promise<readonly Finding[]> {
  const places = await Promise.all(folders.map(existing));
  const devices = await Promise.all(places.map(async (folder) => (await stat(folder)).dev));
  const firsts = places.filter((_, place) => devices.indexOf(devices[place] ?? 0) === place);
  return Promise.all(firsts.map(diskRoom));
}

/** The folder, or the one that it will be made in. */
async function existing(folder: string): Promise<string> {
  const found = await stat(folder).catch((error: unknown) => {
    if (isFileError(error) && error.code === "ENOENT" && dirname(folder) !== folder) return null;
    throw error;
  });
  return found ? folder : existing(dirname(folder));
}

async function diskRoom(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder);
  return roomIn(folder, bavail * bsize);
}

export function roomIn(folder: string, free: number): Finding {
  const message = `${formatBytes(free)} free on the disk of ${folder}`;
  const mend = "Free some, or set STEPLOG_DATA to a folder on a larger disk.";
  if (free < gigabyte) return fail("disk", message, mend);
  return free < 10 * gigabyte ? warn("disk", message, mend) : ok("disk", message);
}

/** A gateway has a file open for each subscriber, and one for each connection of Postgres. */
const enoughFiles = 4_096;

export async function fileLimit(limits = "/proc/self/limits"): Promise<Finding> {
  const text = await readFile(limits, "utf8").catch(() => "");
  const soft = /^Max open files\s+(\d+|unlimited)/mu.exec(text)?.[1];
  if (soft === undefined) return ok("files", "how many files may be open is not known on this system");
  if (soft === "unlimited" || Number(soft) >= enoughFiles) return ok("files", `${soft} files may be open`);
  const mend = `Raise it where the service starts: ulimit -n 65536, or LimitNOFILE=65536 for systemd.`;
  return warn("files", `Only ${soft} files may be open: so many clients and connections together.`, mend);
}

/** What the largest model needs at least, beside what this machine has. */
export async function memoryForModels(modelsDir: string, memory = machineMemory()): Promise<Finding> {
  const names = await modelNames(modelsDir).catch(() => []);
  const models = (await Promise.all(names.map((name) => sizeOf(modelsDir, name)))).filter((model) => model !== null);
  const [largest] = models.toSorted((a, b) => b.bytes - a.bytes);
  if (!largest) return ok("memory", `${formatBytes(memory)}; there are no models in ${modelsDir} yet`);
  const message = `${formatBytes(memory)}; the largest of ${models.length} models, ${largest.name}, has ${formatBytes(largest.bytes)} of weights`;
  if (largest.bytes > memory) return warn("memory", message, "Train and serve that one on a larger machine.");
  return ok("memory", message);
}

function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

async function sizeOf(modelsDir: string, name: string): Promise<{ name: string; bytes: number } | null> {
  try {
    return { name, bytes: modelSummary(name, await openModelFolder(join(modelsDir, name))).bytes };
  } catch (error) {
    // steplog model list says what is wrong with it.
    if (asSteplogError(error).code === "INTERNAL") throw error;
    return null;
  }
}

/** @param serves whether a Steplog answers there, which then has the port by right */
export async function portFree(host: string, port: number, serves: boolean): Promise<Finding> {
  if (serves) return ok("port", `port ${port} is the service's`);
  const server = createServer();
  const taken = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    server.once("error", resolve).listen(port, host, () => resolve(null));
  });
  await new Promise((resolve) => server.close(resolve));
  if (!taken) return ok("port", `port ${port} is free`);
  const mend = "Stop what listens there, or give another one: steplog start --port NUMBER";
  return fail("port", `Nothing can listen on ${host}:${port} (${taken.code ?? taken.message}).`, mend);
}
