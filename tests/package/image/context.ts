/** The build context: what .dockerignore lets Docker see of a checkout. */
import { cp, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import dockerignore from "@balena/dockerignore";

/** Copies what Docker would send, with the folders that it is in, into `target`. */
export async function copyContext(checkout: string, target: string): Promise<void> {
  for (const path of await contextFiles(checkout)) await cp(join(checkout, path), join(target, path));
}

/** Paths from the checkout. A folder that is left out is entered only where an exception (`!`) reaches into it. */
async function contextFiles(checkout: string): Promise<string[]> {
  const patterns = (await readFile(join(checkout, ".dockerignore"), "utf8")).split("\n");
  const ignored = dockerignore.default().add(patterns);
  const exceptions = patterns.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  const walk = async (folder: string): Promise<string[]> => {
    const entries = await readdir(join(checkout, folder), { withFileTypes: true });
    const found = entries.map(async (entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const out = ignored.ignores(path);
      if (!entry.isDirectory()) return out ? [] : [path];
      return out && !exceptions.some((exception) => exception.startsWith(`${path}/`)) ? [] : walk(path);
    });
    return (await Promise.all(found)).flat();
  };
  return walk("");
}
