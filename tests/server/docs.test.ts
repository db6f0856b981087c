/** The documentation: it builds, every link in it leads somewhere, every page is in the navigation, and the gateway serves it. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildSite } from "../../site/build.ts";
import { contents } from "../../site/contents.ts";
import { Links } from "../../site/links.ts";
import { Renderer } from "../../site/markdown.ts";
import { packagePath } from "../../schema/package.ts";
import { errorCodes } from "../../schema/errors.ts";
import type { RunningServer } from "../../server/server.ts";
import { testServer, type TestServer } from "./harness.ts";

let folder = "";
let server: TestServer;
let below: RunningServer;
let names: string[] = [];
const pages = new Map<string, string>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "steplog-docs-"));
  await buildSite(folder);
  names = await readdir(folder, { recursive: true });
  for (const name of names.filter((file) => file.endsWith(".html")))
    pages.set(name, await readFile(path.join(folder, name), "utf8"));
  server = await testServer({ docsDir: folder });
  below = await server.another({ docsDir: folder, publicUrl: "https://example.org/steplog" });
});
afterAll(async () => {
  await below?.close();
  await server?.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe("the site", () => {
  test("has every page of docs/ in its navigation, once", () => {
    const listed = contents.flatMap(({ entries }) => entries.flatMap(({ source }) => source ?? []));
    expect(new Set(listed).size).toBe(listed.length);
    const all = readdirSync(packagePath("docs"), { recursive: true, encoding: "utf8" });
    const written = all.filter((name) => name.endsWith(".md") && !/^(?:decisions|dist)\//u.test(name));
    expect(written.length).toBeGreaterThan(15);
    expect(written.filter((name) => !listed.includes(`docs/${name}`))).toEqual([]);
    for (const [name, html] of pages) {
      const links = new Set([...navigationOf(html).matchAll(/href="([^"]+)"/gu)].map(([, link]) => link));
      const missing = contents.flatMap(({ entries }) => entries.filter(({ slug }) => !links.has(`${slug}.html`)));
      expect({ name, missing }).toEqual({ name, missing: [] });
    }
  });

  test("lists every decision", () => {
    const decisions = readdirSync(packagePath("docs/decisions"));
    const html = pages.get("decisions.html") ?? "";
    expect(decisions.filter((name) => !html.includes(`decisions-${name.replace(/\.md$/u, ".html")}`))).toEqual([]);
  });

  test("has no link, file or anchor that leads nowhere", () => {
    const dead: string[] = [];
    let followed = 0;
    for (const [name, html] of pages) {
      for (const [, link = ""] of html.matchAll(/\s(?:href|src|data-index)="([^"]*)"/gu)) {
        if (/^(?:https?|mailto):/u.test(link) || link === "../") continue;
        followed += 1;
        const [file = "", anchor = ""] = link.split("#");
        const target = file === "" ? name : file === "./" ? "index.html" : file;
        const there =
          names.includes(target) && (anchor === "" || (pages.get(target) ?? "").includes(` id="${anchor}"`));
        if (!there) dead.push(`${link} in ${name}`);
      }
    }
    expect(followed).toBeGreaterThan(5_000);
    expect(dead).toEqual([]);
  });

  test("asks no other host, and has no style or program in its pages", () => {
    const foreign = [...pages].filter(([, html]) => /(?:src|<link[^>]+href)="(?:https?:)?\/\//u.test(html));
    expect(foreign.map(([name]) => name)).toEqual([]);
    const inline = [...pages].filter(([, html]) => /<style|<script>|<[^>]+\sstyle="|<[^>]+\son\w+="/u.test(html));
    expect(inline.map(([name]) => name)).toEqual([]);
  });

  test("has an entry for every part of the API, with its description", () => {
    const schema = readFileSync(packagePath("schema/api.graphql"), "utf8");
    const all = [...pages].filter(([name]) => name.startsWith("reference-")).map(([, html]) => html);
    const types = [...schema.matchAll(/^(?:type|input|enum|interface|scalar) (\w+)/gmu)].map(([, type = ""]) => type);
    const roots = new Set(["Query", "Mutation", "Subscription"]);
    const missing = types.filter((type) => !roots.has(type) && !all.some((html) => html.includes(`>${type}</h2>`)));
    expect(missing).toEqual([]);
    expect(pages.get("reference-mutations.html")).toContain('<h2 id="createfinetune">createFineTune</h2>');
    expect(pages.get("reference-types.html")).toContain('id="FineTune.waitingReason"');
  });

  test("tells what to do about every error code", () => {
    const missing = (page: string) => Object.keys(errorCodes).filter((code) => !pages.get(page)?.includes(code));
    expect([missing("reference-errors.html"), missing("troubleshooting.html")]).toEqual([[], []]);
  });

  test("quotes of what somebody sees only what is said somewhere", () => {
    const folders = ["cli", "dashboard/src", "engine", "schema", "server", "store", "worker"].map(packagePath);
    const sources = folders.flatMap((at) =>
      readdirSync(at, { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(?:tsx?|js)$/u.test(name))
        .map((name) => readFileSync(path.join(at, name), "utf8")),
    );
    // A sentence that goes on in the next line is one.
    const said = sources.join("\n").replaceAll(/["`] \+\s*["`]/gu, "");
    const text = readFileSync(packagePath("docs/TROUBLESHOOTING.md"), "utf8");
    const seen = text.split("\n").flatMap((line) => /^\| (?<cell>[^|]+)/u.exec(line)?.groups?.["cell"] ?? []);
    const quotes = seen.flatMap((cell) => [...cell.matchAll(/"([^"]+)"/gu)].map(([, quote = ""]) => quote));
    expect(quotes.length).toBeGreaterThan(15);
    const parts = quotes.flatMap((quote) => quote.split("...").map((part) => part.trim()));
    expect(parts.filter((part) => !said.includes(part))).toEqual([]);
  });

  test("refuses to be built with a link that leads nowhere", () => {
    const entry = { source: "docs/A.md", slug: "a", name: "A", wants: "" };
    const build = (text: string) => {
      const links = new Links([entry]);
      links.check([new Renderer(links).render(entry, text)]);
    };
    expect(() => build("# A\n\n[here](#a) and [here](A.md#a)")).not.toThrow();
    expect(() => build("# A\n\n[there](#b)")).toThrow("#b in docs/A.md");
  });

  test("stays small", async () => {
    let bytes = 0;
    for (const name of names) {
      const found = await stat(path.join(folder, name));
      if (found.isFile()) bytes += found.size;
    }
    // What it adds to the package, unpacked.
    expect(bytes).toBeLessThan(4_000_000);
  });
});

describe("the gateway", () => {
  const get = (address: string) => fetch(address, { redirect: "manual" });

  test("serves it, with types and caching", async () => {
    const html = await get(`${server.url}/docs/start.html`);
    expect([html.status, html.headers.get("content-type"), html.headers.get("cache-control")]).toEqual([
      200,
      "text/html; charset=utf-8",
      "no-cache",
    ]);
    const again = await fetch(`${server.url}/docs/start.html`, {
      // As a browser asks again; fetch itself would ask for it whole.
      headers: { "if-none-match": html.headers.get("etag") ?? "", "cache-control": "max-age=0" },
    });
    expect(again.status).toBe(304);
    const types = { js: "text/javascript", css: "text/css", json: "application/json" };
    for (const [ending, type] of Object.entries(types)) {
      const name = names.find((file) => file.startsWith("assets/") && file.endsWith(`.${ending}`)) ?? "";
      const { headers } = await get(`${server.url}/docs/${name}`);
      expect(headers.get("content-type")).toContain(type);
      expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    }
    expect((await get(`${server.url}/docs/files/docs/concepts.svg`)).headers.get("content-type")).toBe("image/svg+xml");
  });

  test("leads from /docs to /docs/, also below a prefix, whether the proxy takes it off or not", async () => {
    for (const address of [`${server.url}/docs`, `${below.url}/docs`, `${below.url}/steplog/docs`]) {
      const { status, headers } = await get(address);
      expect([status, new URL(headers.get("location") ?? "", address).href]).toEqual([308, `${address}/`]);
      expect((await get(`${address}/`)).status).toBe(200);
    }
  });

  test("serves nothing beside it, and takes nothing", async () => {
    const statuses = [
      await get(`${server.url}/docs/none.html`),
      await get(`${server.url}/docs/..%2fpackage.json`),
      await get(`${server.url}/docsx`),
      await fetch(`${server.url}/docs/`, { method: "POST" }),
    ].map(({ status }) => status);
    expect(statuses).toEqual([404, 404, 404, 404]);
    const without = await server.another({ docsDir: undefined });
    const answer = await get(`${without.url}/docs/`);
    expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining("npm run build")]);
    await without.close();
  });
});

function navigationOf(html: string): string {
  return /<nav id="pages"[\s\S]*?<\/nav>/u.exec(html)?.[0] ?? "";
}
