/** The folders of jobs: what a killed worker left is deleted, a living worker's is not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inJobFolder, sweepJobFolders } from "../../worker/job-folder.ts";
import { scratch } from "../support/models.ts";

test("those of dead workers of this machine are deleted, and no others", async () => {
  const parent = await scratch();
  const dead = spawn("true");
  await once(dead, "exit");
  const nameOf = (host: string, pid: number | undefined) => `steplog-worker-${host}-${pid}-abcdef`;
  const kept = [nameOf(hostname(), process.ppid), nameOf("elsewhere", dead.pid), "steplog-worker-abcdef", "other"];
  // One with our own process id is another container's that ran before.
  const gone = [nameOf(hostname(), dead.pid), nameOf(hostname(), process.pid)];
  for (const name of [...kept, ...gone]) await mkdir(join(parent, name, "weights"), { recursive: true });
  await sweepJobFolders(parent);
  expect((await readdir(parent)).toSorted()).toEqual(kept.toSorted());
});

test("one lasts as long as its job, and would be swept after a kill", async () => {
  const parent = await scratch();
  await inJobFolder(async (folder) => {
    expect(await readdir(folder)).toEqual([]);
    await sweepJobFolders(parent);
    expect(await readdir(parent)).toEqual([]);
  }, parent);
  await inJobFolder(async () => {}, parent);
  expect(await readdir(parent)).toEqual([]);
});

test("without a folder for temporary files the attempt fails and names it", async () => {
  const parent = join(await scratch(), "file");
  await writeFile(parent, "");
  const named = { code: "UNAVAILABLE", message: expect.stringContaining(parent) as string };
  await expect(inJobFolder(async () => {}, parent)).rejects.toMatchObject(named);
});
