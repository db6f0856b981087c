/** The index of the local search: a document a heading, with the text below it. The browser loads it when somebody searches. */
import MiniSearch from "minisearch";
import { options, type Section } from "./browser/search-options.ts";
import { addressOf } from "./links.ts";
import type { Rendered } from "./markdown.ts";

export function searchIndex(pages: readonly Rendered[]): string {
  const index = new MiniSearch<Section>(options);
  index.addAll(pages.filter(({ entry }) => entry.slug !== "index").flatMap(sectionsOf));
  return JSON.stringify(index);
}

/** The HTML is cut, not the Markdown: there, a heading may be a comment in a shell's block. */
function sectionsOf({ entry, title, html }: Rendered): Section[] {
  return html
    .split(/(?=<h[1-6] id=)/u)
    .map((part) => {
      const [, id = "", inner = ""] = /^<h[1-6] id="([^"]+)"[^>]*>([\s\S]*?)<\/h/u.exec(part) ?? [];
      const heading = plain(inner);
      const address = `${addressOf(entry.slug)}${heading === title ? "" : `#${id}`}`;
      return { address, page: title, title: heading, text: plain(part.replace(/^<h[\s\S]*?<\/h\d>/u, "")) };
    })
    .filter(({ title: heading }) => heading !== "");
}

function plain(html: string): string {
  return html
    .replaceAll(/<[^>]+>/gu, "")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&")
    .replaceAll(/\s+/gu, " ")
    .trim();
}
