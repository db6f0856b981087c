/** Builds the page into dashboard/dist, which the server serves at /. */
import { defineConfig } from "vite";
import { hyperparametersSchema, methods } from "../schema/hyperparameters.ts";

const defaults = Object.fromEntries(methods.map((method) => [method, hyperparametersSchema.parse({ method })]));

export default defineConfig({
  root: import.meta.dirname,
  // The form shows the defaults; their home is the schema, whose validator the page does not need.
  define: { hyperparameterDefaults: JSON.stringify(defaults) },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { outDir: "dist", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  // `npx vite dashboard`: the page from its sources, with the API of a server started by `npm start`.
  server: { proxy: { "^/(graphql|datasets|checkpoints|uploads)": { target: "http://127.0.0.1:4000", ws: true } } },
});
