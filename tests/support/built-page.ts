/** The dashboard as the gateway serves it, built once for all test files that one process runs. */
import { join } from "node:path";
import { build } from "vite";
import { inject } from "vitest";
import { packagePath } from "../../schema/package.ts";

let built: Promise<string> | undefined;

/** Its folder, which tests only read. */
export function builtPage(): Promise<string> {
  built ??= buildPage();
  return built;
}

async function buildPage(): Promise<string> {
  const folder = join(inject("built"), `page-${process.pid}`);
  // As it is shipped: vitest's "test" would have libraries keep what they say to developers, 16 kB of it gzipped.
  const { NODE_ENV } = process.env;
  process.env["NODE_ENV"] = "production";
  try {
    await build({ configFile: packagePath("dashboard/vite.config.ts"), logLevel: "error", build: { outDir: folder } });
  } finally {
    process.env["NODE_ENV"] = NODE_ENV;
  }
  return folder;
}
