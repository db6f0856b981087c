// Runs TypeScript as JavaScript: a source is compiled once, into build/js, and again when its bytes have changed, which is
// looked at before anything runs. So what runs is what the sources say, and no compiler stays in memory: a loader that compiles
// as modules are asked for (tsx) costs each process 40 MB and a third of a second. Where nothing can be written and something is
// not compiled (a package that somebody else installed), that loader does it.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "build", "js");
const manifestFile = join(out, "manifest.json");
/** Part of every hash: another way of compiling makes other files. */
const recipe = "1";

/**
 * Runs a TypeScript file below the root.
 * @param {string} path
 * @returns {Promise<unknown>} its module
 */
export async function load(path) {
  const source = relative(root, path);
  if (await compile()) return import(pathToFileURL(compiledPath(source)).href);
  const { register } = await import("tsx/esm/api");
  register();
  return import(pathToFileURL(path).href);
}

/** Compiles what is not compiled as it is now; whether everything is. */
async function compile() {
  const before = readManifest();
  const sources = new Map(sourceFiles().map((file) => [file, readFileSync(join(root, file))]));
  const hashes = Object.fromEntries([...sources].map(([file, bytes]) => [file, hashOf(bytes)]));
  const stale = [...sources].filter(([file]) => before[file] !== hashes[file]);
  if (stale.length === 0) return true;
  try {
    await Promise.all(stale.map(([file, bytes]) => compileFile(file, bytes.toString("utf8"))));
    writeWhole(manifestFile, JSON.stringify(hashes));
    return true;
  } catch (error) {
    if (isUnwritable(error)) return false;
    throw error;
  }
}

/** @param {unknown} error */
function isUnwritable(error) {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return ["EACCES", "EPERM", "EROFS", "ENOSPC"].includes(String(code));
}

/** @returns {Readonly<Record<string, unknown>>} hashes by file, as they were compiled last */
function readManifest() {
  try {
    return /** @type {Record<string, unknown>} */ (JSON.parse(readFileSync(manifestFile, "utf8")));
  } catch {
    return {};
  }
}

/** Folders of what runs, from the root; those that there are not (in an image, in a package) have no files. */
const folders = ["schema", "dataset", "engine", "store", "server", "worker", "cli", "demo", "bench", "tests"];

function sourceFiles() {
  return folders.flatMap((folder) => {
    const names = namesIn(join(root, folder)).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
    return names.map((name) => join(folder, name));
  });
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function namesIn(folder) {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
}

/** @param {Buffer} bytes */
function hashOf(bytes) {
  return createHash("sha256").update(recipe).update(bytes).digest("base64url").slice(0, 22);
}

/** @param {string} source */
function compiledPath(source) {
  return join(out, source.replace(/\.ts$/u, ".js"));
}

/**
 * @param {string} file
 * @param {string} text
 */
async function compileFile(file, text) {
  const { transform } = await import("esbuild");
  const { code } = await transform(text, { loader: "ts", format: "esm", target: "node20", sourcefile: file });
  writeWhole(compiledPath(file), pointed(code, file));
}

/**
 * Imports name compiled files, and import.meta.url the source, beside which lie the files that are found by it.
 * @param {string} code
 * @param {string} file
 */
function pointed(code, file) {
  const back = relative(dirname(compiledPath(file)), join(root, file))
    .split(sep)
    .join("/");
  return code
    .replaceAll(/((?:\bfrom|\bimport)\s*\(?\s*)"(\.{1,2}\/[^"\n]+)\.ts"/gu, '$1"$2.js"')
    .replaceAll("import.meta.url", `new URL(${JSON.stringify(back)}, import.meta.url).href`);
}

/**
 * A file appears whole: others may be starting at the same time, and write the same.
 * @param {string} path
 * @param {string} text
 */
function writeWhole(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
