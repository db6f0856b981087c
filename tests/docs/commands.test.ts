/** Commands, settings and rows in the pages are what the program takes. */
import { existsSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { build } from "../../cli/main.ts";
import { checkDataset } from "../../dataset/jsonl.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { packagePath } from "../../schema/package.ts";
import { arrows, readTree } from "../support/tree.ts";
import { pageNamed, pages, placeOf } from "./pages.ts";

const folders = [...Object.keys(arrows), "tests", "migrations", "scripts"];

const manifest = JSON.parse(readFileSync(packagePath("package.json"), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>;
};

interface Line {
  readonly place: string;
  readonly line: string;
}

/** Lines of shell blocks and of indented code, with their continuations, without comments. */
const lines: readonly Line[] = pages.flatMap(({ name, text, blocks }) => {
  const indented = [...text.matchAll(/(?<=\n\n)(?: {4}\S.*\n(?:\n(?= {4}))?)+/gu)].map((match) => ({
    text: match[0],
    place: placeOf(name, text, match.index),
  }));
  return [...blocks.filter(({ language }) => language === "sh"), ...indented].flatMap((block) =>
    block.text
      .replaceAll("\\\n", " ")
      .split("\n")
      .map((line) => ({ place: block.place, line: line.replace(/(^| )\s*# .*$/u, "").trim() })),
  );
});

const steplogLines = lines.flatMap(({ place, line }) => {
  const args = steplogArguments(line);
  return args ? [{ place, line, args }] : [];
});

test("there are commands to check", () => {
  expect(steplogLines.length).toBeGreaterThan(10);
});

test.each(steplogLines)("$place: $line", async ({ args }) => {
  let ran = false;
  const program = await build(() => true);
  for (const command of commandsOf(program)) {
    command.configureOutput({ writeErr: () => {} });
    if (command.commands.length === 0) command.action(() => void (ran = true));
  }
  await program.parseAsync(args, { from: "user" });
  expect(ran).toBe(true);
});

test("models that commands read are in the models folder of a clone, or were made by a command", () => {
  const optionsOf = (args: readonly string[], names: readonly string[]) =>
    args.flatMap((word, at) => (names.includes(word) && /\//u.test(args[at + 1] ?? "") ? [args[at + 1] ?? ""] : []));
  const read = steplogLines.flatMap(({ place, args }) =>
    optionsOf(args, ["--model", "--base"]).map((folder) => ({ place, folder })),
  );
  expect(read.length).toBeGreaterThan(5);
  expect(read.filter(({ folder }) => !folder.startsWith("data/models/"))).toStrictEqual([]);
});

test("npm scripts that the pages run exist", () => {
  const wrong = lines.flatMap(({ place, line }) => {
    const name = /\bnpm run (?:-s )?([\w:]+)/u.exec(line)?.[1];
    return name === undefined || name in manifest.scripts ? [] : [`${place}: ${line}`];
  });
  expect(wrong).toStrictEqual([]);
});

const spans = pages
  .filter(({ name }) => !name.startsWith("docs/decisions/"))
  .flatMap(({ name, text }) =>
    [...text.matchAll(/`(?:npx )?steplog ([a-z][^`]*)`/gu)].map((match) => ({
      place: placeOf(name, text, match.index),
      words: (match[1] ?? "").split(/[\s[\]]+/u),
    })),
  );

test.each(spans)("$place: steplog $words", async ({ words }) => {
  let command = await build(() => true);
  for (const word of words) command = command.commands.find((known) => known.name() === word) ?? command;
  expect(command.name()).not.toBe("steplog");
  const known = new Set(command.options.map(({ long }) => long));
  const options = words.filter((word) => word.startsWith("--") && word !== "--help");
  expect(options.filter((option) => !known.has(option))).toStrictEqual([]);
});

/** Pages that tell of the code as it is now; others tell of what was. */
const current = pages.filter(({ name }) => !name.startsWith("docs/decisions/") && name !== "CHANGELOG.md");

test("source files that the pages name exist", () => {
  const source = new RegExp(
    `(?<![\\w/])(?:${folders.join("|")})/[\\w./-]+\\.(?:ts|tsx|js|cc|h|sh|sql|graphql)\\b`,
    "gu",
  );
  const named = current.flatMap(({ name, text }) =>
    [...text.matchAll(source)].map((match) => ({ place: placeOf(name, text, match.index), file: match[0] })),
  );
  expect(named.length).toBeGreaterThan(30);
  // server/graphql/NOUN/NOUN.ts stands for many.
  const exact = named.filter(({ file }) => !/[A-Z]{2}/u.test(file));
  expect(exact.filter(({ file }) => !existsSync(packagePath(file)))).toStrictEqual([]);
});

test("what a page says to wait for is printed", async () => {
  const sources = [...(await readTree(packagePath(".")))].filter(([file]) => /^(?:cli|scripts)\//u.test(file));
  const awaited = current.flatMap(({ name, text }) =>
    [...text.matchAll(/(?:When it|and then) prints `([^`]+)`/gu)].map((match) => ({
      place: placeOf(name, text, match.index),
      words: match[1] ?? "",
    })),
  );
  expect(awaited.length).toBeGreaterThan(1);
  const isPrinted = (words: string) => sources.some(([, text]) => text?.includes(words));
  expect(awaited.filter(({ words }) => !isPrinted(words))).toStrictEqual([]);
});

test("pages that the sources name exist", async () => {
  const tree = [...(await readTree(packagePath(".")))];
  const named = tree.flatMap(([file, text]) =>
    file.startsWith("tests/") || file.endsWith(".md")
      ? []
      : [...(text ?? "").matchAll(/\bdocs\/[\w/-]+\.md\b/gu)].map(([page]) => ({ file, page })),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter(({ page }) => !existsSync(packagePath(page)))).toStrictEqual([]);
});

test("every command is in docs/CLI.md", async () => {
  const { text } = pageNamed("docs/CLI.md");
  const leaves = commandsOf(await build(() => true)).filter(({ commands }) => commands.length === 0);
  const named = leaves.map((command) => `\`steplog ${pathOf(command)}`);
  expect(named.filter((start) => !text.includes(start))).toStrictEqual([]);
});

const settings = pages.flatMap(({ blocks }) =>
  blocks.flatMap(({ language, text, place }) => {
    const value = language === "json" ? (JSON.parse(text) as { hyperparameters?: object }) : {};
    return value.hyperparameters ? [{ place, hyperparameters: value.hyperparameters }] : [];
  }),
);

test.each(settings)("$place: $hyperparameters", ({ hyperparameters }) => {
  expect(hyperparametersSchema.safeParse(hyperparameters).error?.issues).toBeUndefined();
});

test.each(pageNamed("docs/YOUR_DATA.md").blocks.filter(({ language }) => language === "json"))(
  "$place is a row of a dataset",
  async ({ text }) => {
    const line = Buffer.from(JSON.stringify(JSON.parse(text)));
    expect(await checkDataset(inPieces(line))).toStrictEqual({ rows: 1 });
  },
);

/** What the steplog command is called with, or null for other programs. */
function steplogArguments(line: string): string[] | null {
  const starts = [
    /^(?:\w+=\S+ )*(?:npx )?steplog /u,
    /^(?:\w+=\S+ )*npm run -s steplog -- /u,
    /^docker compose .* run (?:--\S+ |-e \S+ )*worker /u,
  ];
  const start = starts.map((pattern) => pattern.exec(line)?.[0]).find((found) => found !== undefined);
  if (start !== undefined) return wordsOf(line.slice(start.length));
  const npm = /^(?:\w+=\S+ )*npm (?:run )?(start|server|worker|demo)(?: -- (.*))?$/u.exec(line);
  return npm ? [npm[1] ?? "", ...wordsOf(npm[2] ?? "")] : null;
}

/** As a shell splits words, with quotes but no variables. Redirections and pipes end the command. */
function wordsOf(text: string): string[] {
  const [command = ""] = text.split(/ [|<>] /u);
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/gu)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? "",
  );
}

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

function pathOf(command: Command): string {
  const parent = command.parent?.name() ?? "steplog";
  return parent === "steplog" ? command.name() : `${parent} ${command.name()}`;
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
