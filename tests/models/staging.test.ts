import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removedDirOf, stagingFolder, withStagingFolder } from "../../models/staging-folder.ts";
import { scratch } from "../support/models.ts";

test("adding a model deletes what a killed removal left", async () => {
  const models = await scratch();
  await mkdir(join(removedDirOf(models), "other-1"), { recursive: true });
  await withStagingFolder(stagingFolder(models, "new"), async () => {});
  expect(await readdir(removedDirOf(models))).toEqual([]);
});
