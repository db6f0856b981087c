import { spawnSync } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { partialFolder } from "../../engine/model/files/partial.ts";
import { scratch } from "../support/models.ts";

test("what a killed process was making is deleted by the next one; what a living one makes is not", async () => {
  const folder = await scratch();
  const mine = basename(await partialFolder(join(folder, "out")));
  const { pid: dead } = spawnSync(process.execPath, ["--version"]);
  const of = (pid: number) => mine.replace(/\d+$/u, String(pid));
  const kept = [of(process.ppid), mine, ".out.partial-elsewhere-1", "other"];
  for (const name of [...kept, of(dead), `${of(dead)}-adapter`]) await mkdir(join(folder, name));
  await partialFolder(join(folder, "out"));
  expect((await readdir(folder)).toSorted()).toStrictEqual(kept.toSorted());
});
