/** Where the links of the Markdown lead in the site. They are written for the repository, relative to the page's file. */
import path from "node:path/posix";
import type { Entry } from "./contents.ts";

/** Files that a browser shows or saves; they travel with the site. */
const carried = /\.(?:svg|png|webp|ya?ml|json|graphql|sbatch)$/u;

interface Used {
  readonly from: string;
  readonly link: string;
  readonly slug: string;
  readonly anchor: string;
}

export class Links {
  /** Paths from the root of the files that pages link to or show. */
  readonly files = new Set<string>();
  readonly #slugs: ReadonlyMap<string, string>;
  readonly #made: ReadonlySet<string>;
  readonly #used: Used[] = [];

  constructor(entries: readonly Entry[]) {
    this.#slugs = new Map(entries.flatMap(({ source, slug }) => (source === null ? [] : [[source, slug]])));
    this.#made = new Set(entries.flatMap(({ source, slug }) => (source === null ? [slug] : [])));
    const slugs = new Set(entries.map(({ slug }) => slug));
    if (slugs.size !== entries.length) throw new Error("Two pages have the same address: see slugOf of contents.ts.");
  }

  /** The address in the site; null for what is in the repository only, such as a source file. */
  resolve(from: Entry, link: string): string | null {
    if (/^(?:[a-z][a-z0-9+.-]*:|\/\/)/iu.test(link)) return link;
    const [name = "", anchor = ""] = decodeURI(link).split("#");
    const slug = name === "" ? from.slug : this.#slugFor(from, name);
    if (slug !== null) {
      this.#used.push({ from: from.source ?? from.slug, link, slug, anchor });
      return `${name === "" ? "" : addressOf(slug)}${anchor === "" ? "" : `#${anchor}`}`;
    }
    const file = pathFrom(from, name);
    if (!carried.test(file)) return null;
    this.files.add(file);
    return `files/${file}`;
  }

  #slugFor(from: Entry, name: string): string | null {
    // What is made names other pages as they are named in the site.
    const made = /^([\w-]+)\.html$/u.exec(name)?.[1];
    if (made !== undefined && from.source === null) return made;
    const file = pathFrom(from, name);
    if (file === "docs/decisions") return "decisions";
    return this.#slugs.get(file) ?? (this.#made.has(file) ? file : null);
  }

  /** @throws Error for links to pages or headings that are not there */
  check(pages: readonly { entry: Entry; ids: ReadonlySet<string> }[]): void {
    const anchors = new Map(pages.map(({ entry, ids }) => [entry.slug, ids]));
    const dead = this.#used.filter(({ slug, anchor }) => {
      const ids = anchors.get(slug);
      return ids === undefined || (anchor !== "" && !ids.has(anchor));
    });
    if (dead.length === 0) return;
    throw new Error(`Dead links: ${dead.map(({ from, link }) => `${link} in ${from}`).join("; ")}.`);
  }
}

export function addressOf(slug: string): string {
  return slug === "index" ? "./" : `${slug}.html`;
}

function pathFrom({ source }: Entry, name: string): string {
  return path.normalize(path.join(path.dirname(source ?? ""), name)).replace(/\/$/u, "");
}
