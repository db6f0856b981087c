/** Markdown as HTML: headings with GitHub's anchors, links of the site, code with its colours, tables that scroll by themselves. */
import GithubSlugger from "github-slugger";
import hljs from "highlight.js/lib/common";
import MarkdownIt, { type Token } from "markdown-it";
import type { Entry } from "./contents.ts";
import type { Links } from "./links.ts";

export interface Heading {
  readonly level: number;
  readonly id: string;
  readonly title: string;
}

export interface Rendered {
  readonly entry: Entry;
  readonly title: string;
  readonly html: string;
  readonly headings: readonly Heading[];
  /** Every id that a link may name. */
  readonly ids: ReadonlySet<string>;
  readonly text: string;
}

/** What a code block may be, in highlight.js' words; others have one colour. */
const languages: Readonly<Record<string, string>> = {
  sh: "bash",
  js: "javascript",
  ts: "typescript",
  json: "json",
  yaml: "yaml",
  python: "python",
  html: "xml",
  graphql: "graphql",
  sql: "sql",
};

export class Renderer {
  readonly #markdown = new MarkdownIt({ html: true, highlight });
  readonly #links: Links;

  constructor(links: Links) {
    this.#links = links;
    const { rules } = this.#markdown.renderer;
    // A table that is wider than its page scrolls, and can be scrolled by keys.
    rules["table_open"] = () => '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>\n';
    rules["table_close"] = () => "</table></div>\n";
  }

  render(entry: Entry, text: string): Rendered {
    const tokens = this.#markdown.parse(text, {});
    const headings = withAnchors(tokens);
    for (const token of tokens.flatMap((found) => [found, ...(found.children ?? [])])) this.#place(entry, token);
    const html = linkHtml(this.#markdown.renderer.render(tokens, this.#markdown.options, {}), (link) =>
      this.#links.resolve(entry, link),
    );
    const ids = new Set([...html.matchAll(/\sid="([^"]+)"/gu)].map(([, id = ""]) => id));
    return { entry, title: headings[0]?.title ?? entry.name, html, headings, ids, text };
  }

  #place(entry: Entry, token: Token): void {
    if (token.type === "image") {
      token.attrSet("src", this.#links.resolve(entry, String(token.attrGet("src"))) ?? "");
      token.attrSet("loading", "lazy");
    }
    // Styles in attributes are what the page's policy refuses.
    const align = /text-align:(\w+)/u.exec(String(token.attrGet("style") ?? ""))?.[1];
    if (align !== undefined) token.attrs = [["class", align]];
  }
}

/** Marks links of the Markdown and of its HTML alike: to a page of the site, to a file that travels with it, or to none. */
function linkHtml(html: string, resolve: (link: string) => string | null): string {
  return html.replaceAll(
    /<a href="([^"]*)"([^>]*)>([\s\S]*?)<\/a>/gu,
    (_whole, link: string, more: string, inner: string) => {
      const address = resolve(link);
      if (address === null) return `<span class="source" title="In the repository: ${link}">${inner}</span>`;
      const outside = /^https?:/u.test(address) ? ' rel="noopener noreferrer"' : "";
      return `<a href="${address}"${more}${outside}>${inner}</a>`;
    },
  );
}

/** Gives each heading the name that GitHub gives it, and a link to itself. */
function withAnchors(tokens: readonly Token[]): Heading[] {
  const slugger = new GithubSlugger();
  return tokens.flatMap((token, index) => {
    if (token.type !== "heading_open") return [];
    const inline = tokens[index + 1];
    const title = textOf(inline?.children ?? []);
    const id = slugger.slug(title);
    token.attrSet("id", id);
    return [{ level: Number(token.tag.slice(1)), id, title }];
  });
}

export function textOf(tokens: readonly Token[]): string {
  return tokens.map(({ type, content }) => (type === "text" || type === "code_inline" ? content : "")).join("");
}

function highlight(code: string, name: string): string {
  const language = languages[name];
  return language === undefined ? "" : hljs.highlight(code, { language }).value;
}
