import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // graphql ships every module twice; tests must get the copy that node gives to everybody else, or types differ.
    alias: [{ find: /^graphql$/u, replacement: fileURLToPath(import.meta.resolve("graphql")) }],
  },
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
