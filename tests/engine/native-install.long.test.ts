/** The addon's installer, on an addon of a few lines: it builds, knows what it built, and never fails an install. */
import { spawnSync } from "node:child_process";
import { appendFile, cp, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { scratch } from "../support/models.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const compiles = ["g++", "make", "python3"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
const gyp = '{"targets": [{"target_name": "steplog_native", "sources": ["src/addon.cc"]}]}';
const source = `#include <node_api.h>
NAPI_MODULE_INIT() { napi_value two; napi_create_uint32(env, 2, &two); return two; }
`;

/** A package with only the addon, under a path with a blank and a letter beyond ASCII. */
async function addonFolder(): Promise<string> {
  const top = join(await scratch(), "my modèle dir");
  const folder = join(top, "engine", "native");
  await mkdir(join(folder, "src"), { recursive: true });
  await symlink(join(root, "node_modules"), join(top, "node_modules"));
  await cp(join(root, "engine/native/install.js"), join(folder, "install.js"));
  await writeFile(join(top, "package.json"), '{"type": "module"}');
  await writeFile(join(folder, "binding.gyp"), gyp);
  await writeFile(join(folder, "src", "addon.cc"), source);
  return folder;
}

function install(folder: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const options = { encoding: "utf8", env: { ...process.env, STEPLOG_NATIVE: "", ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, "install.js"), ...args], options);
  return { code: status, line: `${stdout}${stderr}` };
}

/** What node-gyp-build loads; in a process of its own, since an addon cannot be unloaded. */
function loaded(folder: string): string {
  const script = "console.log(require(process.argv[1])(process.argv[2]))";
  const library = createRequire(import.meta.url).resolve("node-gyp-build");
  return spawnSync(process.execPath, ["-e", script, library, folder], { encoding: "utf8" }).stdout.trim();
}

describe("without a compiler", () => {
  test("an install succeeds, and reports what is missing and what is used instead", async () => {
    const folder = await addonFolder();
    const { code, line } = install(folder, [], { PATH: await scratch(), CXX: undefined, npm_config_python: undefined });
    expect(code).toBe(0);
    expect(line).toMatch(/^Native device: not built\. Not installed: g\+\+.*, make, python3\. .*TensorFlow\.js.*\n$/u);
  });

  test("npm run build:native fails", async () => {
    const { code, line } = install(await addonFolder(), ["--force"], { PATH: await scratch() });
    expect({ code, line }).toStrictEqual({ code: 1, line: expect.stringContaining("Not installed") as string });
  });

  test("STEPLOG_NATIVE=off skips it", async () => {
    const folder = await addonFolder();
    expect(install(folder, [], { STEPLOG_NATIVE: "off" })).toMatchObject({ code: 0 });
    expect(await readdir(folder)).not.toContain("build");
  });
});

test.runIf(process.env["CI"] === "true")("CI has a compiler", () => expect(compiles).toBe(true));

test.runIf(process.env["CI"] === "true")("npm ci has built the addon of these sources", () => {
  expect(install(join(root, "engine/native")).line).toBe("Native device: up to date.\n");
});

describe.runIf(compiles)("with a compiler", { timeout: 60_000 }, () => {
  test("builds once, and again when a source has changed", async () => {
    const folder = await addonFolder();
    expect(install(folder)).toMatchObject({ code: 0, line: expect.stringMatching(/built in \d+ s\.\n$/u) as string });
    expect(loaded(folder)).toBe("2");
    expect(install(folder).line).toBe("Native device: up to date.\n");
    await writeFile(join(folder, "src", "addon.cc"), source.replace("env, 2", "env, 3"));
    expect(install(folder).line).toContain("built in");
    expect(loaded(folder)).toBe("3");
  });

  test("an install succeeds when the build fails, quotes the compiler, and removes outdated binaries", async () => {
    const folder = await addonFolder();
    install(folder);
    await appendFile(join(folder, "src", "addon.cc"), "int x = ;\n");
    const { code, line } = install(folder);
    expect(code).toBe(0);
    expect(line).toMatch(
      /^Native device: not built\. The build failed: .*addon\.cc:3.*build\.log.*TensorFlow\.js.*\n$/u,
    );
    expect(loaded(folder)).toBe("");
    expect(install(folder, ["--force"]).code).toBe(1);
  });

  test("a prebuilt binary needs no compiler", async () => {
    const folder = await addonFolder();
    expect(install(folder, ["--prebuild"])).toMatchObject({ code: 0 });
    await rm(join(folder, "build"), { recursive: true });
    expect(install(folder, [], { PATH: await scratch() }).line).toBe("Native device: up to date.\n");
    expect(loaded(folder)).toBe("2");
  });
});

/** Names that the linker sees in the kernels of each instruction set. */
async function kernelSymbols(): Promise<string[][]> {
  const objects = join(root, "engine/native/build/Release/obj.target");
  const sets = (await readdir(objects).catch(() => [])).filter((name) => name.startsWith("kernels_"));
  return sets.map((set) => {
    const object = join(objects, set, "src", "kernels.o");
    const { stdout } = spawnSync("nm", ["--defined-only", "--extern-only", object], { encoding: "utf8" });
    return stdout.split("\n").flatMap((line) => line.split(" ")[2] ?? []);
  });
}

test("no instruction set has a function that the linker could give to another", async ({ skip }) => {
  const sets = await kernelSymbols();
  if (sets.length === 0) skip("the addon was not built here by npm install");
  const symbols = sets.flat();
  expect(symbols.filter((name, at) => symbols.indexOf(name) !== at)).toStrictEqual([]);
  expect(symbols.length).toBeGreaterThan(sets.length);
});
