/** How much of the page a browser has to load before it shows anything. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { builtPage } from "../support/built-page.ts";

/** What docs/PERFORMANCE.md promises. */
const mostBytes = 200_000;

test("the page's scripts and styles stay under 200 kB gzipped, and lie beside the others as they are sent", async () => {
  const folder = await builtPage();
  const assets = path.join(folder, "assets");
  const page = await readFile(path.join(folder, "index.html"), "utf8");
  const names = (await readdir(assets)).filter((name) => /\.(?:js|css)$/u.test(name));
  expect(names.length).toBeGreaterThanOrEqual(2);
  let bytes = 0;
  for (const name of names) {
    const packed = await readFile(path.join(assets, `${name}.gz`));
    expect(gunzipSync(packed).equals(await readFile(path.join(assets, name)))).toBe(true);
    // What the page does not name is loaded when it is needed, such as what reads CSV.
    if (page.includes(name)) bytes += packed.length;
  }
  expect(bytes).toBeGreaterThan(mostBytes / 2);
  expect(bytes).toBeLessThan(mostBytes);
});
