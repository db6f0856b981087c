/** `npm run screenshots`: no test of `npm test`, but with its Postgres and its harness. */
import { defineConfig } from "vitest/config";
import tests from "../../../vitest.config.ts";

// The pictures show one time zone and one language, wherever they are taken.
Object.assign(process.env, { TZ: "UTC", LANG: "en_US.UTF-8" });

export default defineConfig({
  ...(tests.resolve && { resolve: tests.resolve }),
  test: {
    name: "screenshots",
    include: ["tests/browser/screenshots/*.shots.ts"],
    globalSetup: ["tests/support/global-setup.ts"],
    pool: "forks",
    hookTimeout: 120_000,
  },
});
