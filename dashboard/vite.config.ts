/** Builds the page into dashboard/dist, which the gateway serves. */
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // Addresses of files are relative to <base>, which the gateway sets: the page may be below a prefix.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  // Libraries for React find preact.
  resolve: {
    alias: { react: "preact/compat", "react-dom": "preact/compat", "react/jsx-runtime": "preact/jsx-runtime" },
  },
  build: { outDir: "dist", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  // `npx vite dashboard`: the page from its sources, with the API of a server started by `npm start`.
  server: { proxy: { "^/(graphql|datasets|checkpoints|uploads)": { target: "http://127.0.0.1:4000", ws: true } } },
});
