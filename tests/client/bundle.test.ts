/** steplog/client in a browser: what a bundler makes of it asks for nothing of Node, and works on web APIs alone. */
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { expect, test } from "vitest";

test("the browser entry bundles without Node's modules, and is small", async () => {
  const output = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: true,
      lib: { entry: fileURLToPath(new URL("../../client/browser.ts", import.meta.url)), formats: ["es"] },
    },
  });
  const [result] = Array.isArray(output) ? output : [output];
  if (!result || !("output" in result)) throw new Error("a build of a library has an output");
  const chunks = result.output.flatMap((file) => (file.type === "chunk" ? [file] : []));
  expect(chunks).toHaveLength(1);
  const [chunk] = chunks;
  expect([...(chunk?.imports ?? []), ...(chunk?.dynamicImports ?? [])]).toStrictEqual([]);
  expect(chunk?.code).not.toMatch(/node:|__vite-browser-external|\bBuffer\b|\bprocess\./u);
  expect(Object.keys(chunk?.modules ?? {}).filter((name) => /node_modules\/ws\//u.test(name))).toStrictEqual([]);
  expect(chunk?.exports).toContain("SteplogClient");
  expect(chunk?.code.length).toBeLessThan(48_000);
});
