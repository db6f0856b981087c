// Runs TypeScript as JavaScript: a source is compiled once, into build/js, and again when its bytes have changed, which is
// looked at before anything runs. So what runs is what the sources say, and no compiler stays in memory: a loader that compiles
// as modules are asked for (tsx) costs each process 40 MB and a quarter of a second. Where nothing can be written and something
// is not compiled (a package that somebody else installed), that loader does it.
//
// Each compiled file begins with a hash of its source and of this file, and appears whole: there is no other state, so nothing can
// disagree with it after a crash, or between processes that start at once.
import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = join(root, "build", "js");
/** What is written is part of every hash, so that another way of writing it makes other files. */
const recipe = readFileSync(fileURLToPath(import.meta.url));

/**
 * Runs a TypeScript file below the root.
 * @param {string} path
 * @returns {Promise<unknown>} its module
 */
export async function load(path) {
  if (await compile(path)) return import(pathToFileURL(compiledPath(relative(root, path))).href);
  const { register } = await import("tsx/esm/api");
  register();
  return import(pathToFileURL(path).href);
}

/**
 * Compiles a file and all that it imports, where they are not compiled as they are now.
 * @param {string} path
 * @returns {Promise<boolean>} whether all are compiled
 */
export async function compile(path) {
  const known = new Set([relative(root, path)]);
  let next = [...known];
  try {
    while (next.length > 0) {
      const imported = (await Promise.all(next.map(compiled))).flat();
      next = [...new Set(imported)].filter((file) => !known.has(file));
      for (const file of next) known.add(file);
    }
    return true;
  } catch (error) {
    if (isUnwritable(error)) return false;
    throw error;
  } finally {
    await stopCompiler();
  }
}

/**
 * Makes sure of one file.
 * @param {string} file
 * @returns {Promise<string[]>} what it imports
 */
async function compiled(file) {
  const source = readOrNothing(join(root, file));
  if (!source) {
    // What is imported and is not there any more must not be found compiled.
    rmSync(compiledPath(file), { force: true });
    return [];
  }
  const mark = `// ${createHash("sha256").update(recipe).update(source).digest("base64url")}\n`;
  let text = readOrNothing(compiledPath(file))?.toString("utf8") ?? "";
  if (!text.startsWith(mark)) {
    text = mark + pointed(await transformed(file, source.toString("utf8")), file);
    writeWhole(compiledPath(file), text);
  }
  return importsOf(text).map((specifier) => normalize(join(dirname(file), specifier)).replace(/\.js$/u, ".ts"));
}

let compiler = /** @type {Promise<typeof import("esbuild")> | null} */ (null);

/**
 * @param {string} file
 * @param {string} text
 */
async function transformed(file, text) {
  const { transform } = await (compiler ??= import("esbuild"));
  return (await transform(text, { loader: "ts", format: "esm", target: "node20", sourcefile: file })).code;
}

/** It is a process, which would stay for as long as this one. */
async function stopCompiler() {
  if (compiler) await (await compiler).stop();
  compiler = null;
}

/** @param {unknown} error */
function isUnwritable(error) {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return ["EACCES", "EPERM", "EROFS", "ENOSPC"].includes(String(code));
}

/** @param {string} path */
function readOrNothing(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** @param {string} source */
function compiledPath(source) {
  return join(out, source.replace(/\.ts$/u, ".js"));
}

const importing = /((?:\bfrom|\bimport)\s*\(?\s*)"(\.{1,2}\/[^"\n]+)\.(ts|js)"/gu;

/** @param {string} code */
function importsOf(code) {
  return [...code.matchAll(importing)].map(([, , path]) => `${path}.js`);
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
    .replaceAll(importing, '$1"$2.js"')
    .replaceAll("import.meta.url", `new URL(${JSON.stringify(back)}, import.meta.url).href`);
}

/**
 * @param {string} path
 * @param {string} text
 */
function writeWhole(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
