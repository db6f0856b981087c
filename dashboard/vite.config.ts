/** Builds the page into dashboard/dist, which the gateway serves. */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Lists the GraphQL documents of the page, for a gateway that runs listed ones only. */
function documents(): Plugin {
  const found: Record<string, string> = {};
  return {
    name: "documents",
    enforce: "pre",
    transform(code, id) {
      if (!id.endsWith("/operations.ts")) return;
      for (const [, text = ""] of code.matchAll(/operation<[^>]*>\(\s*"\w+",\s*("(?:[^"\\]|\\.)*")/gu)) {
        const document = JSON.parse(text) as string;
        found[`sha256:${createHash("sha256").update(document).digest("hex")}`] = document;
      }
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "documents.json", source: JSON.stringify(found) });
    },
  };
}

/** Beside each script and style, the same gzipped: the gateway sends that (server/http/page.ts). */
function packed(): Plugin {
  return {
    name: "packed",
    async writeBundle({ dir = "" }, bundle) {
      const names = Object.keys(bundle).filter((name) => /\.(?:js|css)$/u.test(name));
      for (const name of names) {
        const file = join(dir, name);
        await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  // Addresses of files are relative to <base>, which the gateway sets: the page may be below a prefix.
  base: "./",
  plugins: [documents(), packed()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // Libraries for React find preact.
  resolve: {
    alias: { react: "preact/compat", "react-dom": "preact/compat", "react/jsx-runtime": "preact/jsx-runtime" },
  },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // "use client" is for servers that render pages.
      onLog: (level, log, handle) => log.code !== "MODULE_LEVEL_DIRECTIVE" && handle(level, log),
    },
  },
  // `npx vite dashboard`: the page from its sources, with the API of a server started by `npm start`.
  server: {
    proxy: {
      "^/(graphql|datasets[?]name=|datasets/[^/]+/rows|checkpoints|uploads|docs)": {
        target: "http://127.0.0.1:4000",
        ws: true,
      },
    },
  },
});
