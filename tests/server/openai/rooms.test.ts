/** The two protocols share what is in server/ itself, and know nothing of each other. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path/posix";
import { expect, test } from "vitest";
import { packagePath } from "../../../schema/package.ts";
import { importsOf } from "../../support/tree.ts";

test.each([
  ["server/openai", "server/graphql/"],
  ["server/graphql", "server/openai/"],
])("%s imports nothing of %s", async (room, other) => {
  const files = await readdir(packagePath(room), { recursive: true });
  const code = files.filter((file) => file.endsWith(".ts")).map((file) => path.join(room, file));
  const imports = await Promise.all(
    code.map(async (file) => importsOf(file, await readFile(packagePath(file), "utf8"))),
  );
  expect(code.length).toBeGreaterThan(5);
  expect(imports.flat().filter(({ target }) => target?.startsWith(other))).toEqual([]);
});
