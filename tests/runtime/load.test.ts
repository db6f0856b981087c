/** Sources that run as JavaScript: in processes of their own, below a root of their own. */
import { spawn } from "node:child_process";
import { chmod, cp, mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { scratch } from "../support/models.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));

async function root(): Promise<string> {
  const folder = await scratch();
  await chmod(folder, 0o755);
  await cp(join(project, "runtime"), join(folder, "runtime"), { recursive: true });
  await symlink(join(project, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{"type": "module"}');
  await mkdir(join(folder, "cli", "parts"), { recursive: true });
  await writeFile(join(folder, "cli", "words.txt"), "read beside the source");
  await writeFile(
    join(folder, "cli", "main.ts"),
    `import { readFileSync } from "node:fs";
     import type { Word } from "./parts/word.ts";
     import { word } from "./parts/word.ts";
     const { later } = await import("./parts/later.ts");
     const said: Word = word;
     console.log([said, later, readFileSync(new URL("words.txt", import.meta.url), "utf8"), process.argv.slice(1).map((arg) => arg.split("/").at(-1)).join(" ")].join(", "));`,
  );
  await writeFile(
    join(folder, "cli", "parts", "word.ts"),
    `export type Word = string;\nexport const word: Word = "one";\n`,
  );
  await writeFile(join(folder, "cli", "parts", "later.ts"), `export const later = "later" as const;\n`);
  return folder;
}

function run(folder: string, as: { uid?: number } = {}): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, [join(folder, "runtime/run.js"), join(folder, "cli/main.ts"), "argument"], as);
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (out += chunk.toString()));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out: out.trim() })));
}

const said = (word: string) => ({ code: 0, out: `${word}, later, read beside the source, main.ts argument` });

test("a source runs compiled, and one that has changed is compiled before anything runs", async () => {
  const folder = await root();
  expect(await run(folder)).toStrictEqual(said("one"));
  const compiled = join(folder, "build/js/cli/parts/word.js");
  expect(await readFile(compiled, "utf8")).not.toContain(": Word");
  await writeFile(
    join(folder, "cli", "parts", "word.ts"),
    `export type Word = string;\nexport const word: Word = "two";\n`,
  );
  expect(await run(folder)).toStrictEqual(said("two"));
  // Nothing of it was compiled again that had not changed.
  await writeFile(compiled, (await readFile(compiled, "utf8")).replace('"two"', '"by hand"'));
  expect(await run(folder)).toStrictEqual(said("by hand"));
});

test("a start that failed leaves nothing that the sources do not say", async () => {
  const folder = await root();
  const [word, later] = ["word", "later"].map((name) => join(folder, "cli", "parts", `${name}.ts`)) as [string, string];
  const before = await Promise.all([readFile(word, "utf8"), readFile(later, "utf8")]);
  expect(await run(folder)).toStrictEqual(said("one"));
  await writeFile(word, `export type Word = string;\nexport const word: Word = "two";\n`);
  await writeFile(later, "export const later: = 1;\n");
  expect((await run(folder)).code).not.toBe(0);
  await writeFile(word, before[0]);
  await writeFile(later, before[1]);
  expect(await run(folder)).toStrictEqual(said("one"));
});

test("a source that is gone is not found compiled, and one that nothing imports may be broken", async () => {
  const folder = await root();
  await writeFile(join(folder, "cli", "broken.ts"), "const: =\n");
  expect(await run(folder)).toStrictEqual(said("one"));
  await rm(join(folder, "cli", "parts", "later.ts"));
  expect((await run(folder)).out).toContain("ERR_MODULE_NOT_FOUND");
});

test("many that start at once find whole files", async () => {
  const folder = await root();
  const results = await Promise.all(Array.from({ length: 6 }, () => run(folder)));
  expect(results).toStrictEqual(results.map(() => said("one")));
  expect((await readdir(join(folder, "build/js"))).toSorted()).toStrictEqual(["cli"]);
  expect((await readdir(join(folder, "build/js/cli/parts"))).toSorted()).toStrictEqual(["later.js", "word.js"]);
});

test("what does not compile says where", async () => {
  const folder = await root();
  await writeFile(join(folder, "cli", "parts", "word.ts"), "export const word: = 1;\n");
  const { code, out } = await run(folder);
  expect(code).not.toBe(0);
  expect(out).toContain("cli/parts/word.ts:1:19");
});

test("who may not write runs what is compiled, and else lets a loader compile", async () => {
  const folder = await root();
  // Root may write anywhere.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {};
  await chmod(folder, 0o555);
  expect(await run(folder, nobody)).toStrictEqual(said("one"));
  expect(await readdir(folder)).not.toContain("build");
  await chmod(folder, 0o755);
  await run(folder);
  await chmod(join(folder, "build/js"), 0o555);
  expect(await run(folder, nobody)).toStrictEqual(said("one"));
});
