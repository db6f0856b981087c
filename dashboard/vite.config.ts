/** Builds the page into dashboard/dist, which the server serves at /. */
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { outDir: "dist", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  // `npx vite dashboard`: the page from its sources, with the API of a server started by `npm start`.
  server: { proxy: { "^/(graphql|datasets|checkpoints|uploads)": { target: "http://127.0.0.1:4000", ws: true } } },
});
