/** Pages of which a part is made from results: the part between two comments, `<!-- NAME -->` and `<!-- end of results -->`. */
import { readFile, writeFile } from "node:fs/promises";
import { SteplogError } from "../schema/errors.ts";

/** Writes the page with the part between its markers replaced. @throws INVALID_ARGUMENT if it has no markers */
export async function replaceBlock(path: string, name: string, body: string): Promise<void> {
  const [begin, end] = [`<!-- ${name} -->`, "<!-- end of results -->"];
  const [before, rest = ""] = (await readFile(path, "utf8")).split(begin);
  const [, ...after] = rest.split(end);
  if (before === undefined || after.length === 0) {
    throw new SteplogError(
      "INVALID_ARGUMENT",
      `${path} needs the lines ${begin} and ${end}; the results go between them.`,
    );
  }
  await writeFile(path, `${before}${begin}\n\n${body}\n\n${end}${after.join(end)}`);
}
