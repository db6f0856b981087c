/** The tree keeps its promises, and each of its rules can fail. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { variableRows } from "../cli/environment.ts";
import { arrows, checkTree, importsOf, readTree } from "./support/tree.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Problems of a made-up tree. */
const problems = (files: Record<string, string>) => checkTree(new Map(Object.entries(files)));
const words = { "schema/words.ts": "export const word = 1;\n", "store/store.ts": "export const store = 1;\n" };

describe("the tree", () => {
  // Every file is read and parsed, which takes long on a busy machine.
  test("follows the import arrows, and its pages have no dead links", { timeout: 60_000 }, async () => {
    const tree = await readTree(root);
    expect(tree.has("package.json")).toBe(true);
    const found = checkTree(tree);
    expect(found, `\n${found.join("\n")}\n`).toEqual([]);
  });

  test("has arrows without a circle", () => {
    const files = Object.entries(arrows).map(([folder, targets]) => {
      const imports = targets.map((target) => `import "../${target}/a.ts";\n`).join("");
      return [`${folder}/a.ts`, imports] as const;
    });
    expect(problems(Object.fromEntries(files))).toEqual([]);
  });
});

describe("each rule can fail", () => {
  test("a clean tree has no problems", () => {
    expect(problems({ ...words, "server/a.ts": 'import { store } from "../store/store.ts";\n' })).toEqual([]);
  });

  test.each([
    ["schema", 'import { store } from "../store/store.ts";'],
    ["engine", 'import type { store } from "../store/store.ts";'],
    ["dataset", 'export { store } from "../store/store.ts";'],
    ["engine", 'export * from "../store/store.ts";'],
    ["engine", 'const late = await import("../store/store.ts");'],
    ["engine", 'type Late = import("../store/store.ts").Store;'],
    ["dashboard", 'import "../store/store.ts";'],
  ])("%s/ may not import store/ by %s", (folder, line) => {
    expect(problems({ ...words, [`${folder}/a.ts`]: `\n${line}\n` })).toEqual([
      expect.stringMatching(new RegExp(`^${folder}/a.ts:2 imports .* ${folder}/ may import .*pass an argument`)),
    ]);
  });

  test("the server never imports the engine", () => {
    const found = problems({ "server/a.ts": 'import "../engine/mezo.ts";', "engine/mezo.ts": "" });
    expect(found).toEqual([expect.stringContaining("server/ may import store/, schema/, sandbox/, dataset/")]);
  });

  test("nobody imports from tests/", () => {
    const found = problems({ "cli/a.ts": 'import "../tests/support/b.ts";', "tests/support/b.ts": "" });
    expect(found).toEqual([expect.stringContaining("tests/ is imported by nobody")]);
  });

  test("a new folder must find its place among the arrows", () => {
    const found = problems({ ...words, "extra/a.ts": 'import "../schema/words.ts";' });
    expect(found).toEqual([expect.stringContaining("extra/ has no place among the arrows")]);
  });

  test.each(["postgres", "drizzle-orm", "drizzle-orm/postgres-js"])("only store/ imports %s", (name) => {
    const line = `import { query } from "${name}";`;
    expect(problems({ "store/a.ts": line, "tests/a.ts": line, "schema/tables.ts": line })).toEqual([]);
    expect(problems({ "server/a.ts": line })).toEqual([expect.stringContaining("only store/ speaks SQL")]);
    expect(problems({ "schema/words.ts": line })).toEqual([expect.stringContaining("only store/ speaks SQL")]);
  });

  test("only engine/ imports TensorFlow.js", () => {
    const line = 'import { tensor } from "@tensorflow/tfjs-core";';
    expect(problems({ "engine/a.ts": line })).toEqual([]);
    expect(problems({ "worker/a.ts": line })).toEqual([expect.stringContaining("tensors belong to engine/")]);
  });

  test("folders do not import each other in a circle", () => {
    const found = problems({
      "store/a.ts": 'import "../server/b.ts";',
      "server/b.ts": 'import "../worker/c.ts";',
      "worker/c.ts": 'import "../store/a.ts";',
    });
    expect(found).toContainEqual(expect.stringContaining("store -> server -> worker -> store"));
  });

  test("files do not import each other in a circle, by types either", () => {
    const found = problems({
      "store/a.ts": 'import { b } from "./b.ts";',
      "store/b.ts": 'import type { C } from "./rooms/c.ts";',
      "store/rooms/c.ts": 'export type { A } from "../a.ts";',
    });
    expect(found).toEqual([
      expect.stringContaining("Files import each other in a circle: store/a.ts -> store/b.ts -> store/rooms/c.ts"),
    ]);
  });

  test("an import names a file that is there", () => {
    expect(problems({ "store/a.ts": 'import "./b.js";' })).toEqual([expect.stringContaining("no such file")]);
  });

  test("a file of a main folder has 500 lines at most", () => {
    expect(problems({ "engine/a.ts": "// line\n".repeat(500) })).toEqual([]);
    expect(problems({ "engine/a.ts": `// Made by a program. Do not edit.\n${"// line\n".repeat(501)}` })).toEqual([]);
    expect(problems({ "engine/a.ts": "// line\n".repeat(501) })).toEqual([expect.stringContaining("501 lines")]);
  });

  test.each([
    "ask(sparks).catch(() => undefined);",
    "ask(sparks).then(show, () => {});",
    "try { await ask(sparks); } catch { show(null); }",
  ])("the page looks at what goes wrong: not so %s", (line) => {
    expect(problems({ "dashboard/src/a.ts": `\n${line}\n` })).toEqual([
      expect.stringMatching(/^dashboard\/src\/a\.ts:2 .*quietly/u),
    ]);
    expect(problems({ "cli/a.ts": line })).toEqual([]);
  });

  test.each([
    "ask(sparks).catch(quietly);",
    "ask(sparks).then(show, (error) => show(asFailure(error)));",
    "try { await ask(sparks); } catch (error) { show(asFailure(error)); }",
    "try { read(JSON.parse(text)); } catch { read(null); }",
  ])("the page looks at what goes wrong: as %s does", (line) => {
    expect(problems({ "dashboard/src/a.ts": line })).toEqual([]);
  });

  test("a test of the page waits for what it expects", () => {
    const hasty = 'expect(await page.getByText("spam").count()).toBe(0);';
    const patient = 'await expect.poll(() => page.getByText("spam").count()).toBe(0);';
    expect(problems({ "tests/browser/a.ts": `\n${hasty}\n` })).toEqual([
      "tests/browser/a.ts:2 reads the page once. Wait: expect.poll(() => ...).",
    ]);
    expect(problems({ "tests/browser/a.ts": patient, "tests/server/a.ts": hasty })).toEqual([]);
  });

  test("a page has no dead link", () => {
    const readme =
      "# A title: it `works`\n[b](docs/b.md#part-two) [folder](docs/) [web](https://example.org) [t](#a-title-it-works)\n";
    const pages = { "README.md": readme, "docs/b.md": "## Part two\n```\n[no link](nowhere)\n```\n" };
    expect(problems(pages)).toEqual([]);
    expect(problems({ ...pages, "docs/c.md": "[x](../docs/d.md)" })).toEqual([expect.stringContaining("no docs/d.md")]);
    expect(problems({ ...pages, "docs/c.md": "[x](b.md#part-three)" })).toEqual([
      expect.stringContaining("no heading of that name"),
    ]);
  });
});

test("imports are read with their lines, not from comments or strings", () => {
  const text = '// import "./no.ts"\nconst text = `import "./no.ts"`;\nexport type { A } from "./yes.ts";\n';
  expect(importsOf("store/a.ts", text)).toEqual([
    { file: "store/a.ts", line: 3, specifier: "./yes.ts", target: "store/yes.ts" },
  ]);
});

test("the table in deploy/README.md is the list of environment variables in cli/environment.ts", () => {
  const page = readFileSync(new URL("../deploy/README.md", import.meta.url), "utf8");
  const table = [...page.matchAll(/^\| (`[A-Z][^|]*)\|([^|]*)\|([^|]*)\|$/gmu)].map(([, ...cells]) =>
    cells.map((cell) => cell.trim()),
  );
  expect(table).toEqual(variableRows());
});
