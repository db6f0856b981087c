/**
 * The rules of the tree, as one function from files to problems, so that each rule can be shown to fail on a made-up
 * tree. Imports are read by a parser (oxc, as vite ships it): type imports, re-exports and import() count alike.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path/posix";
import { parseSync } from "vite";

/** Path from the root, with "/", to text; null for a file whose text no rule reads. */
export type Tree = ReadonlyMap<string, string | null>;

/** Who may import whom. The path of a run is client -> server -> store -> worker -> engine; imports point down it. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  sandbox: ["schema"],
  dataset: ["schema", "sandbox"],
  engine: ["schema", "dataset"],
  // Runs npm, pip and a compiler to install what a device needs.
  devices: ["schema", "engine"],
  store: ["schema"],
  models: ["schema", "sandbox", "dataset", "engine", "store"],
  server: ["store", "schema", "sandbox", "dataset"],
  worker: ["store", "engine", "models", "schema", "sandbox"],
  // Published for programs of others: of the service it knows schema/api.graphql and the shared words.
  client: ["schema"],
  // Published for programs of others: reads logs and rebuilds weights without a service.
  log: ["schema", "engine"],
  cli: ["schema", "sandbox", "dataset", "engine", "devices", "models", "store", "server", "worker", "client", "log"],
  // It stores the steps that subscribers receive, as a worker would.
  bench: ["schema", "dataset", "engine", "store"],
  // The page runs in a browser.
  dashboard: ["schema", "client"],
  // The documentation, made of the pages and of the printed schema.
  site: ["schema"],
};

/** Folders whose files must stay short enough to be read in one sitting. */
const mainFolders = new Set([
  "schema",
  "sandbox",
  "dataset",
  "engine",
  "devices",
  "store",
  "server",
  "worker",
  "client",
  "log",
  "models",
  "cli",
  "bench",
  "dashboard",
  "site",
]);
const longestFile = 500;

/** Packages that belong to some folders only. `tests` may import anything. */
const owners: readonly { packages: RegExp; folders: readonly string[]; files: RegExp; why: string }[] = [
  {
    packages: /^(postgres|drizzle-orm)$/,
    folders: ["store"],
    files: /^schema\/(columns|([a-z]+-)?tables|queue-view)\.ts$/,
    why: "only store/ speaks SQL; ask it for a function instead (the tables in schema/ may describe themselves)",
  },
  {
    packages: /^@opentelemetry\//,
    folders: [],
    files: /^cli\/open-telemetry\.ts$/,
    why: "only cli/open-telemetry.ts makes traces, so that they are loaded where they are wanted; ask schema/tracing.ts for a span",
  },
  {
    packages: /^@tensorflow\//,
    folders: ["engine"],
    files: /^$/,
    why: "tensors belong to engine/, behind a device",
  },
];

export function checkTree(tree: Tree): string[] {
  const imports = [...tree].flatMap(([file, text]) => (isCode(file) && text !== null ? importsOf(file, text) : []));
  return [
    ...imports.flatMap(checkArrow),
    ...imports.flatMap(checkOwner),
    ...imports.flatMap((found) => checkTarget(found, tree)),
    ...checkCycles(imports, folderOf, "Folders"),
    ...checkCycles(imports, (file) => file, "Files"),
    ...[...tree].flatMap(([file, text]) => checkLength(file, text)),
    ...[...tree].flatMap(([file, text]) => checkSilence(file, text)),
    ...[...tree].flatMap(([file, text]) => checkHaste(file, text)),
    ...[...tree].flatMap(([file, text]) => checkLinks(file, text, tree)),
  ];
}

interface Import {
  readonly file: string;
  readonly line: number;
  readonly specifier: string;
  /** The imported file's path from the root, for a relative specifier; else null. */
  readonly target: string | null;
}

const isCode = (file: string) => /\.[cm]?[jt]sx?$/.test(file);
const folderOf = (file: string) => (file.includes("/") ? (file.split("/")[0] ?? "") : "");
const at = (found: Import) => `${found.file}:${found.line} imports "${found.specifier}"`;

/** Every module that `text` names: import, export ... from, import() of a literal, and import("...") in a type. */
export function importsOf(file: string, text: string): Import[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]?.message ?? ""}`);
  const found: Import[] = [];
  visit(program, (node) => {
    const source = node["source"];
    if (!importing.has(String(node["type"])) || !isObject(source) || typeof source["value"] !== "string") return;
    const specifier = source["value"];
    const relative = specifier.startsWith(".");
    const target = relative ? path.normalize(path.join(path.dirname(file), specifier)) : null;
    found.push({ file, line: lineOf(text, source), specifier, target });
  });
  return found;
}

type Node = Readonly<Record<string, unknown>>;

const lineOf = (text: string, { start }: Node) => text.slice(0, Number(start)).split("\n").length;

const importing = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);

function visit(node: unknown, look: (node: Node) => void): void {
  if (Array.isArray(node)) {
    for (const child of node) visit(child, look);
  } else if (isObject(node)) {
    look(node);
    for (const child of Object.values(node)) visit(child, look);
  }
}

const isObject = (value: unknown): value is Node => typeof value === "object" && value !== null;

function checkArrow(found: Import): string[] {
  if (found.target === null) return [];
  const [from, to] = [folderOf(found.file), folderOf(found.target)];
  if (from === to) return [];
  if (to === "tests")
    return from === "" ? [] : [`${at(found)}: tests/ is imported by nobody; move the helper out of it.`];
  if (from === "" || from === "tests") return [];
  const allowed = arrows[from];
  if (allowed === undefined) return [`${at(found)}: ${from}/ has no place among the arrows of tests/support/tree.ts.`];
  if (allowed.includes(to)) return [];
  const may = allowed.length === 0 ? "nothing" : allowed.map((name) => `${name}/`).join(", ");
  return [
    `${at(found)}: ${from}/ may import ${may}. If you want to import upwards, pass an argument instead, ` +
      "or move the word into schema/.",
  ];
}

function checkOwner(found: Import): string[] {
  if (found.target !== null) return [];
  const from = folderOf(found.file);
  const name = packageOf(found.specifier);
  return owners
    .filter(({ packages, folders, files }) => {
      const free = from === "" || from === "tests" || folders.includes(from) || files.test(found.file);
      return packages.test(name) && !free;
    })
    .map(({ why }) => `${at(found)}: ${why}.`);
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? "");
}

/** A relative import names its file with its extension, as node runs it. Built files are not in the tree. */
function checkTarget(found: Import, tree: Tree): string[] {
  if (found.target === null || tree.has(found.target) || /\.(css|node|wasm)(\?|$)/.test(found.target)) return [];
  return [`${at(found)}, and there is no such file.`];
}

/** Type imports count as well: files that need each other are one file in two pieces. */
function checkCycles(imports: readonly Import[], nodeOf: (file: string) => string, what: string): string[] {
  const edges = new Map<string, Map<string, Import>>();
  for (const found of imports) {
    const [from, to] = [nodeOf(found.file), nodeOf(found.target ?? "")];
    if (from === "" || to === "" || from === to) continue;
    const targets = edges.get(from) ?? new Map<string, Import>();
    edges.set(from, targets.set(to, targets.get(to) ?? found));
  }
  const cycle = findCycle(edges);
  if (cycle === null) return [];
  const [first = "", second = ""] = cycle;
  const example = edges.get(first)?.get(second);
  return [`${what} import each other in a circle: ${cycle.join(" -> ")}${example ? ` (${at(example)})` : ""}.`];
}

function findCycle(edges: ReadonlyMap<string, ReadonlyMap<string, Import>>): string[] | null {
  const done = new Set<string>();
  const walk = (folder: string, trail: readonly string[]): string[] | null => {
    const seen = trail.indexOf(folder);
    if (seen >= 0) return [...trail.slice(seen), folder];
    if (done.has(folder)) return null;
    for (const next of edges.get(folder)?.keys() ?? []) {
      const cycle = walk(next, [...trail, folder]);
      if (cycle !== null) return cycle;
    }
    done.add(folder);
    return null;
  };
  for (const folder of edges.keys()) {
    const cycle = walk(folder, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

function checkLength(file: string, text: string | null): string[] {
  if (text === null || !isCode(file) || !mainFolders.has(folderOf(file))) return [];
  // Nobody needs to read what a program wrote.
  if (/^\/\/ Made by .* Do not edit\./u.test(text)) return [];
  const lines = text.split("\n").length - 1;
  return lines <= longestFile
    ? []
    : [`${file} has ${lines} lines; over ${longestFile} nobody reads it whole. Split it.`];
}

/** What they wait for is the browser's, which wants no key. */
const mayBeSilent = new Set([
  "dashboard/src/datasets/add-dataset.tsx",
  "dashboard/src/new/data-step.tsx",
  "dashboard/src/parts/copy.ts",
]);

/** On the page, whoever catches an error of the service looks at it: it may say that the service wants another key. */
function checkSilence(file: string, text: string | null): string[] {
  if (text === null || !isCode(file) || !file.startsWith("dashboard/src/") || mayBeSilent.has(file)) return [];
  const found: string[] = [];
  visit(parseSync(file, text).program, (node) => {
    if (isSilent(node)) {
      found.push(
        `${file}:${lineOf(text, node)} looks at no error of what it waits for. Show it by asFailure of api/failure.ts, or ` +
          "give it to quietly: a person whose key has ended is asked for another.",
      );
    }
  });
  return found;
}

/** `.catch(() => ...)`, `.then(use, () => ...)`, and a `catch` without an error after an `await`. */
function isSilent({ type, callee, arguments: given, block, handler }: Node): boolean {
  if (type === "TryStatement") return isObject(handler) && handler["param"] === null && waits(block);
  if (type !== "CallExpression" || !isObject(callee) || !Array.isArray(given)) return false;
  const name = isObject(callee["property"]) && callee["property"]["name"];
  const heard: unknown = name === "catch" ? given[0] : name === "then" ? given[1] : undefined;
  return isObject(heard) && Array.isArray(heard["params"]) && heard["params"].length === 0;
}

function waits(block: unknown): boolean {
  let found = false;
  visit(block, ({ type }) => {
    if (type === "AwaitExpression") found = true;
  });
  return found;
}

/** What Playwright reads of a page at once, without waiting for what is expected. */
const readings = new Set(
  (
    "count isVisible isHidden isChecked isDisabled isEnabled isEditable textContent innerText innerHTML allTextContents " +
    "allInnerTexts inputValue getAttribute evaluate evaluateAll"
  ).split(" "),
);

/** A page follows what it is told a moment later, so tests of it wait: expect(await locator.count()) fails by chance. */
function checkHaste(file: string, text: string | null): string[] {
  if (text === null || !isCode(file) || !file.startsWith("tests/browser/")) return [];
  const found: string[] = [];
  visit(parseSync(file, text).program, (node) => {
    const { type, callee, arguments: given } = node;
    if (type !== "CallExpression" || !isObject(callee) || callee["name"] !== "expect" || !Array.isArray(given)) return;
    const read: unknown = given[0];
    if (isObject(read) && read["type"] === "AwaitExpression" && readsPage(read["argument"])) {
      found.push(`${file}:${lineOf(text, node)} reads the page once. Wait: expect.poll(() => ...).`);
    }
  });
  return found;
}

function readsPage(node: unknown): boolean {
  const callee = isObject(node) && node["type"] === "CallExpression" ? node["callee"] : undefined;
  const name = isObject(callee) && isObject(callee["property"]) && callee["property"]["name"];
  return typeof name === "string" && readings.has(name);
}

/** Relative links of Markdown pages: the file is there, and so is the heading that the link names. */
function checkLinks(file: string, text: string | null, tree: Tree): string[] {
  if (text === null || !file.endsWith(".md")) return [];
  const prose = text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "").replaceAll(/`[^`\n]*`/g, "");
  const links = [...prose.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)="([^"]+)"/gm)];
  return links
    .map(([, inline, reference, html]) => inline ?? reference ?? html ?? "")
    .filter((link) => !/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(link))
    .flatMap((link) => checkLink(file, link, tree));
}

function checkLink(file: string, link: string, tree: Tree): string[] {
  const [name = "", anchor] = decodeURI(link).split("#");
  const target = name === "" ? file : path.normalize(path.join(path.dirname(file), name)).replace(/\/$/, "");
  const there = tree.has(target) || [...tree.keys()].some((known) => target === "." || known.startsWith(`${target}/`));
  if (!there) return [`${file} links to "${link}", and there is no ${target}.`];
  const page = tree.get(target);
  if (!anchor || typeof page !== "string" || headings(page).has(anchor)) return [];
  return [`${file} links to "${link}", and ${target} has no heading of that name.`];
}

/** Names that GitHub gives to the headings of a page. */
function headings(page: string): Set<string> {
  const names = [...page.matchAll(/^#{1,6} +(.+)$/gm)].map(([, title = ""]) =>
    title
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-"),
  );
  return new Set(names);
}

/** Folders that are made, not written. */
const made = new Set(["node_modules", "dist", "data", "build", "prebuilds", "coverage", "__pycache__"]);

/** The files under `root`, with the text of code and pages. */
export async function readTree(root: string): Promise<Map<string, string | null>> {
  const tree = new Map<string, string | null>();
  const read = async (folder: string): Promise<void> => {
    for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
      const name = path.join(folder, entry.name);
      const hidden = entry.name.startsWith(".") && ![".ci", ".dockerignore", ".editorconfig"].includes(entry.name);
      if (entry.isDirectory()) {
        if (!hidden && !made.has(entry.name)) await read(name);
      } else if (entry.isFile()) {
        const wanted = !hidden && (isCode(name) || name.endsWith(".md"));
        tree.set(name, wanted ? await readFile(path.join(root, name), "utf8") : null);
      }
    }
  };
  await read(".");
  return tree;
}
