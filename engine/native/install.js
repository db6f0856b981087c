/**
 * Builds the addon of the native device when npm installs the package. If the build fails, the install still succeeds: the
 * worker uses TensorFlow.js instead, and one line explains why. The compiler's output is in build.log.
 *
 *   node engine/native/install.js
 *                       builds the addon if it is missing or outdated, and always exits 0
 *     with --force      always builds, and fails if it cannot (npm run build:native)
 *     with --prebuild   as --force, and puts the binary into prebuilds/ (npm run native:prebuild)
 *
 * A binary is up to date if it loads and the hash beside it is that of these sources. node-gyp-build finds it in build/Release,
 * or else in prebuilds/<platform>-<arch>, where prebuildify would put it.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(import.meta.url);
const nodeGypBuild = /** @type {{ path(folder: string): string }} */ (require("node-gyp-build"));
const built = join(folder, "build", "Release", "steplog_native.node");
const log = join(folder, "build.log");
/** Ends a build that waits for headers from an unreachable network. */
const timeoutMs = 10 * 60_000;

const prebuild = process.argv.includes("--prebuild");
const force = prebuild || process.argv.includes("--force");

try {
  console.log(`Native device: ${install()}`);
} catch (error) {
  const advice = "The worker will use TensorFlow.js instead. To try again: npm run build:native";
  console.error(`Native device: not built. ${error instanceof Error ? error.message : String(error)}. ${advice}`);
  if (force) process.exitCode = 1;
}

/** @returns what happened, for people */
function install() {
  if (process.env["STEPLOG_NATIVE"] === "off" && !force) return "skipped, because STEPLOG_NATIVE=off.";
  const hash = sourcesHash();
  if (!force && isThere(hash)) return "up to date.";
  // If the build fails, an outdated binary must not be loaded.
  rmSync(built, { force: true });
  const started = performance.now();
  build();
  refuseUnloadable(built);
  writeFileSync(hashFile(built), hash);
  if (prebuild) publish(hash);
  const seconds = Math.ceil((performance.now() - started) / 1000);
  return `built in ${seconds} s${prebuild ? `, and put into ${prebuildFolder()}` : ""}.`;
}

/** SHA-256 of binding.gyp and the files in src/, with their names. */
function sourcesHash() {
  const names = readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const hash = createHash("sha256");
  for (const path of [join(folder, "binding.gyp"), ...names]) {
    const bytes = readFileSync(path);
    hash.update(`${path.slice(folder.length)} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

/**
 * @param {string} binary
 */
function hashFile(binary) {
  return join(dirname(binary), "sources.sha256");
}

/**
 * @param {string} hash
 */
function isThere(hash) {
  try {
    const binary = nodeGypBuild.path(folder);
    if (readFileSync(hashFile(binary), "utf8") !== hash) return false;
    refuseUnloadable(binary);
    return true;
  } catch {
    return false;
  }
}

/**
 * Loads the binary in a separate process, since an addon built for another platform may crash it.
 * @param {string} binary
 */
function refuseUnloadable(binary) {
  const load = ["-e", "require(process.argv[1])", binary];
  const { status, stderr } = spawnSync(process.execPath, load, { encoding: "utf8" });
  if (status === 0) return;
  const reason = stderr.split("\n").find((line) => /Error/u.test(line)) ?? "node exited without an error message";
  throw new Error(`The addon does not load: ${reason}`);
}

function build() {
  if (process.platform === "win32") throw new Error("Only Linux and macOS are supported");
  const compiler = process.env["CXX"] ?? ["g++", "c++", "clang++"].find(inPath);
  const python = process.env["npm_config_python"] ?? process.env["PYTHON"] ?? ["python3", "python"].find(inPath);
  const missing = [compiler ? [] : "g++ (11 or later)", inPath("make") ? [] : "make", python ? [] : "python3"].flat();
  if (missing.length > 0) throw new Error(`Not installed: ${missing.join(", ")}`);
  const { program, start } = findNodeGyp();
  const headers = nodeHeaders();
  // npm run build:native compiles only what has changed; an install compiles everything.
  const steps = force && !prebuild ? ["configure", "build"] : ["rebuild"];
  const args = [...steps, "--release", "--jobs", String(availableParallelism())];
  if (headers !== null) args.push("--nodedir", headers);
  const output = openSync(log, "w");
  try {
    const { status, error } = spawnSync(program, [...start, ...args], {
      cwd: folder,
      env: { ...process.env, CXX: compiler },
      stdio: ["ignore", output, output],
      timeout: timeoutMs,
    });
    if (error) throw new Error(`node-gyp could not run: ${error.message}`);
    if (status !== 0) throw new Error(`The build failed: ${firstError()} (full output in ${log})`);
  } finally {
    closeSync(output);
  }
}

/**
 * @param {string} name
 */
function inPath(name) {
  return (process.env["PATH"] ?? "").split(delimiter).some((directory) => isExecutable(join(directory, name)));
}

/**
 * @param {string} path
 */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** npm sets the path of its node-gyp; without npm, it is looked for beside node. */
function findNodeGyp() {
  const beside = join("node_modules", "npm", "node_modules", "node-gyp", "bin", "node-gyp.js");
  const scripts = [process.env["npm_config_node_gyp"] ?? "", join(nodePrefix(), "lib", beside)];
  const script = scripts.find((path) => path !== "" && existsSync(path));
  if (script !== undefined) return { program: process.execPath, start: [script] };
  if (inPath("node-gyp")) return { program: "node-gyp", start: [] };
  throw new Error("Not installed: node-gyp, which comes with npm");
}

/** Node's headers, so that nothing is downloaded: those configured in npm, or those beside node. */
function nodeHeaders() {
  const told = process.env["npm_config_nodedir"];
  if (told !== undefined && told !== "") return told;
  try {
    const version = readFileSync(join(nodePrefix(), "include", "node", "node_version.h"), "utf8");
    const major = /#define NODE_MAJOR_VERSION (\d+)/u.exec(version)?.[1];
    return major === process.versions.node.split(".")[0] ? nodePrefix() : null;
  } catch {
    return null;
  }
}

function nodePrefix() {
  return dirname(dirname(process.execPath));
}

function firstError() {
  const lines = readFileSync(log, "utf8").split("\n");
  return (lines.find((line) => /\berror:|\*\*\*/u.test(line)) ?? "no reason given").trim();
}

/**
 * Copies the binary to where node-gyp-build finds it without build/, with the layout and tags of prebuildify.
 * @param {string} hash
 */
function publish(hash) {
  const target = prebuildFolder();
  mkdirSync(target, { recursive: true });
  const libc = existsSync("/etc/alpine-release") ? ".musl" : ".glibc";
  const binary = join(target, `steplog_native${process.platform === "linux" ? libc : ""}.node`);
  copyFileSync(built, binary);
  spawnSync("strip", [process.platform === "darwin" ? "-Sx" : "--strip-all", binary]);
  refuseUnloadable(binary);
  writeFileSync(hashFile(binary), hash);
}

function prebuildFolder() {
  return join(folder, "prebuilds", `${process.platform}-${process.arch}`);
}
