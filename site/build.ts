/**
 * Builds the documentation as a site of plain files: Markdown of the repository, a reference made from the API's schema, and an
 * index to search. Every address in it is relative, so the same files work at the root of a host, below a prefix, and opened
 * from a disk (search needs a server). It asks no other host for anything.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { contents, page as pageOf, type Entry } from "./contents.ts";
import { homePage, decisionsPage } from "./lists.ts";
import { Links } from "./links.ts";
import { Renderer, type Rendered } from "./markdown.ts";
import { frame, type Assets } from "./frame.ts";
import { reference } from "./reference.ts";
import { searchIndex } from "./search-index.ts";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** @throws Error that names every link of the pages that leads nowhere */
export async function buildSite(out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  await mkdir(path.join(out, "assets"), { recursive: true });
  const entries = await allEntries();
  const links = new Links(entries);
  const renderer = new Renderer(links);
  const texts = await textsOf(entries);
  const pages = entries.map((entry) => renderer.render(entry, texts.get(entry.slug) ?? ""));
  links.check(pages);
  for (const file of links.files) await cp(path.join(root, file), path.join(out, "files", file));
  const assets = { ...(await bundle(out)), index: await writeIndex(out, pages) };
  for (const page of pages) await writeFile(path.join(out, `${page.entry.slug}.html`), frame(page, pages, assets));
}

/** What the navigation has, the first page, and a page a decision. */
async function allEntries(): Promise<Entry[]> {
  const decisions = (await readdir(path.join(root, "docs/decisions"))).toSorted();
  return [
    { source: null, slug: "index", name: "Documentation", wants: "" },
    ...contents.flatMap(({ entries }) => entries),
    ...decisions.map((name) => pageOf(`docs/decisions/${name}`, `Decision ${Number.parseInt(name, 10)}`)),
  ];
}

/** The Markdown of each page, by its slug. */
async function textsOf(entries: readonly Entry[]): Promise<Map<string, string>> {
  const texts = reference(await readFile(path.join(root, "schema/api.graphql"), "utf8"));
  for (const { source, slug } of entries) {
    if (source !== null) texts.set(slug, await readFile(path.join(root, source), "utf8"));
  }
  texts.set("index", homePage());
  texts.set("decisions", decisionsPage(entries, texts));
  return texts;
}

/** Programs and styles of the site, named after what is in them. */
async function bundle(out: string): Promise<Omit<Assets, "index">> {
  const input = { theme: path.join(root, "site/browser/theme.ts"), main: path.join(root, "site/browser/main.ts") };
  const names = { entryFileNames: "assets/[name].[hash].js", assetFileNames: "assets/[name].[hash][extname]" };
  await build({
    configFile: false,
    root: path.join(root, "site"),
    logLevel: "warn",
    base: "./",
    publicDir: false,
    build: {
      outDir: out,
      emptyOutDir: false,
      modulePreload: { polyfill: false },
      rolldownOptions: { input, output: names },
    },
  });
  await cp(path.join(root, "dashboard/public/favicon.svg"), path.join(out, "assets/favicon.svg"));
  const made = await readdir(path.join(out, "assets"));
  const named = (start: string, end: string) => {
    const name = made.find((file) => file.startsWith(start) && file.endsWith(end));
    if (name === undefined) throw new Error(`The bundle has no ${start}*${end}.`);
    return `assets/${name}`;
  };
  return { theme: named("theme.", ".js"), main: named("main.", ".js"), style: named("main.", ".css") };
}

async function writeIndex(out: string, pages: readonly Rendered[]): Promise<string> {
  const text = searchIndex(pages);
  const name = `assets/search.${createHash("sha256").update(text).digest("hex").slice(0, 10)}.json`;
  await writeFile(path.join(out, name), text);
  return name;
}
