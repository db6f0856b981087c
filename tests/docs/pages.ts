/** The pages of this repository, cut into what tests can hold against the program. */
import { packagePath } from "../../schema/package.ts";
import { readTree } from "../support/tree.ts";

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Between the block before it, or the top of the page, and this one. */
  readonly prose: string;
  /** Where it starts, for failures: "docs/API.md:17". */
  readonly place: string;
}

export interface Page {
  readonly name: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

export const pages: readonly Page[] = [...(await readTree(packagePath(".")))].flatMap(([name, text]) =>
  text !== null && name.endsWith(".md") && !name.startsWith("tests/") ? [readPage(name, text)] : [],
);

export function pageNamed(name: string): Page {
  const page = pages.find((known) => known.name === name);
  if (!page) throw new Error(`there is no ${name}`);
  return page;
}

function readPage(name: string, text: string): Page {
  let end = 0;
  const blocks = [...text.matchAll(/^ *```(\w+)\n([\s\S]*?)^ *```$/gmu)].map((match) => {
    const [whole, language = "", code = ""] = match;
    const block = {
      language,
      text: code,
      prose: text.slice(end, match.index),
      place: placeOf(name, text, match.index),
    };
    end = match.index + whole.length;
    return block;
  });
  return { name, text, blocks };
}

export function placeOf(name: string, text: string, index: number): string {
  return `${name}:${text.slice(0, index).split("\n").length}`;
}
