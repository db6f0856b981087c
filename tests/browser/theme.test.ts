/** The dark theme of the page and of the documentation changes colours alone: what fits a screen in one theme does in the other. */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packagePath } from "../../schema/package.ts";

/** Rules of a style sheet for one theme, with their declarations. */
const themed = /(?<selector>[^{}]*\[data-theme[^{}]*)\{(?<body>[^{}]*)\}/gu;
const colours = [
  /^color-scheme: (?:light|dark)$/u,
  /^--[a-z]+(?:-[a-z0-9]+)*: #[0-9a-f]{6}$/u,
  /^--shadow: 0 6px 24px rgb\([^)]+\)$/u,
];

async function styles(folder: string): Promise<string[]> {
  const names = await readdir(packagePath(folder), { recursive: true });
  return names.filter((name) => name.endsWith(".css")).map((name) => join(folder, name));
}

test("a theme changes colours alone", async () => {
  const files = [...(await styles("dashboard/src")), ...(await styles("site/browser"))];
  const texts = await Promise.all(files.map((file) => readFile(packagePath(file), "utf8")));
  const rules = texts.flatMap((text) => [...text.matchAll(themed)].map(({ groups }) => groups?.["body"] ?? ""));
  const declared = rules.flatMap((body) =>
    body
      .split(";")
      .map((one) => one.trim())
      .filter((one) => one !== ""),
  );
  expect(declared.length).toBeGreaterThan(20);
  expect(declared.filter((one) => !colours.some((colour) => colour.test(one)))).toEqual([]);
  // By no other way does a style know of the theme.
  expect(texts.filter((text) => /prefers-color-scheme|light-dark\(/u.test(text))).toEqual([]);
});
