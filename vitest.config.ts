import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // graphql ships every module twice; tests must get the copy that node gives to everybody else, or types differ.
    alias: [{ find: /^graphql$/u, replacement: fileURLToPath(import.meta.resolve("graphql")) }],
  },
  test: {
    // Gradients of tfjs, which its bundle for Node leaves out, are modules that Node takes for CommonJS.
    server: { deps: { inline: [/tfjs-core\/dist\/(?!tf-core)/u] } },
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
