/** The HTML around a page: the bar, the navigation, what is on the page, and what comes before and after it. */
import { contents, type Entry } from "./contents.ts";
import { addressOf } from "./links.ts";
import type { Rendered } from "./markdown.ts";

export interface Assets {
  readonly theme: string;
  readonly main: string;
  readonly style: string;
  readonly index: string;
}

/** The pages ask no other host for anything, and forms and frames have no use. */
const policy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; object-src 'none'";

export function frame(page: Rendered, pages: readonly Rendered[], assets: Assets): string {
  const title = page.entry.slug === "index" ? "Steplog documentation" : `${escape(page.title)} · Steplog`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${title}</title>
<link rel="icon" href="assets/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${assets.style}">
<script src="${assets.theme}"></script>
<script type="module" src="${assets.main}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
${bar(assets)}
<div class="columns">
${navigation(page.entry)}
<main id="main" tabindex="-1">
${onThisPage(page)}
<article>
${page.html}</article>
${neighbours(page.entry, pages)}
</main>
</div>
</body>
</html>
`;
}

function bar({ index }: Assets): string {
  return `<header class="bar">
<a class="brand" href="../"><img src="assets/favicon.svg" alt="" width="24" height="24">Steplog</a>
<a class="docs" href="./">Docs</a>
<div class="search" role="search">
<input id="search" type="search" placeholder="Search" aria-label="Search the documentation" autocomplete="off" data-index="${index}">
<ul id="found" hidden></ul>
<p id="found-count" class="hidden" role="status"></p>
</div>
<button type="button" class="menu-button" popovertarget="pages" aria-label="Pages"><span aria-hidden="true">☰</span></button>
<select id="theme" aria-label="Theme">
<option value="system">System theme</option>
<option value="light">Light theme</option>
<option value="dark">Dark theme</option>
</select>
</header>`;
}

function navigation({ slug, source }: Entry): string {
  // A decision is a page of its list.
  const here = source?.startsWith("docs/decisions/") ? "decisions" : slug;
  const groups = contents.map(({ name, entries }) => {
    const links = entries.map((entry) => {
      const current = entry.slug === here ? ' aria-current="page"' : "";
      return `<li><a href="${addressOf(entry.slug)}"${current}>${escape(entry.name)}</a></li>`;
    });
    return `<h2>${escape(name)}</h2>\n<ul>\n${links.join("\n")}\n</ul>`;
  });
  return `<nav id="pages" popover="auto" aria-label="Pages">\n${groups.join("\n")}\n</nav>`;
}

/** Nothing for a page that can be seen whole. */
function onThisPage({ entry, headings }: Rendered): string {
  const listed = headings.filter(({ level }) => level === 2 || level === 3);
  if (listed.length < 3 || entry.slug === "index") return "";
  const deep = listed.length <= 40;
  const links = listed
    .filter(({ level }) => level === 2 || deep)
    .map(({ level, id, title }) => `<li class="level-${level}"><a href="#${id}">${escape(title)}</a></li>`);
  return `<nav class="toc" aria-label="On this page"><details><summary>On this page</summary>
<ul>
${links.join("\n")}
</ul></details></nav>`;
}

function neighbours({ slug }: Entry, pages: readonly Rendered[]): string {
  const order = contents.flatMap(({ entries }) => entries.map((entry) => entry.slug));
  const at = order.indexOf(slug);
  if (at === -1) return "";
  const link = (to: string | undefined, label: string, kind: string) => {
    const found = pages.find(({ entry }) => entry.slug === to);
    return found
      ? `<a class="${kind}" href="${addressOf(found.entry.slug)}"><span>${label}</span>${escape(found.title)}</a>`
      : "";
  };
  return `<nav class="neighbours" aria-label="Before and after">
${link(order[at - 1], "Before", "before")}${link(order[at + 1], "Next", "next")}
</nav>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
