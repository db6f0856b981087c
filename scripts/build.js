// npm run build, and npm's `prepare` after an install in a clone: compiles the sources into dist/, builds the web page, and the
// documentation as a site.
// An install without development packages can do neither; it says so and goes on, since whoever made it may have brought both.
import { spawnSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const compiler = programOf("typescript", "tsc");
const bundler = programOf("vite", "vite");
const runner = programOf("tsx", "tsx");

if (compiler === null || bundler === null || runner === null) {
  console.log(
    "dist/ and the web page are not built: their tools are development packages, which are not installed here.",
  );
} else {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  run(compiler, ["-p", "tsconfig.build.json"]);
  // npx links to it, and makes it executable only when it links for the first time.
  chmodSync(join(root, "dist/cli/steplog.js"), 0o755);
  if (!process.argv.includes("--no-page")) {
    run(bundler, ["build", "dashboard", "--logLevel", "warn"]);
    run(runner, ["site/main.ts"]);
  }
}

/**
 * The path of a package's command, or null where the package is not installed.
 * @param {string} name
 * @param {string} command
 */
function programOf(name, command) {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require.resolve(`${name}/package.json`);
    const { bin } = /** @type {{ bin: string | Record<string, string> }} */ (require(manifest));
    return join(dirname(manifest), typeof bin === "string" ? bin : (bin[command] ?? ""));
  } catch {
    return null;
  }
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 */
function run(program, args) {
  const { status } = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
