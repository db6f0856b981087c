/** The npm package, with its addon: built here against a library, or installed by the package's own installer. */
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import { installable } from "../engine/devices/tensorflow/packages.ts";
import { StepFailure, mustSucceed } from "./failures.ts";
import type { Library } from "./library.ts";
import { linkFlags, linkLibrary } from "./library.ts";
import type { Surroundings } from "./programs.ts";
import { isOnPath, run } from "./programs.ts";

/** The last release, of October 2024. Its addon uses the C API alone, so it is built against much later libraries. */
export const packageVersion = "4.22.0";

export interface Device {
  readonly name: InstallableName;
  /** Folder of the device that is being made. */
  readonly root: string;
  readonly surroundings: Surroundings;
}

function addonOf({ root, name }: Device): string {
  return join(root, "node_modules", ...installable[name].split("/"));
}

/** The package and what it depends on, without running their installers. @throws StepFailure */
export async function installPackage({ root, name, surroundings }: Device): Promise<void> {
  const wanted = `${installable[name]}@${packageVersion}`;
  const step = `npm install ${wanted}`;
  if (!isOnPath("npm", surroundings.env))
    throw new StepFailure(step, "there is no npm", "Install the one that comes with Node.js.");
  await writeFile(join(root, "package.json"), '{ "private": true }\n');
  const flags = ["--ignore-scripts", "--save-exact", "--no-audit", "--no-fund", "--loglevel", "error"];
  const ran = await run(surroundings, "npm", { args: ["install", ...flags, wanted], cwd: root, env: npmEnv });
  mustSucceed(step, ran, () => "npm's own settings and variables apply (npm_config_registry, npm_config_proxy).");
}

/** Of the npm that may have started this command, none of it for the one that we start. */
const npmEnv = { npm_config_global: "false", npm_config_dry_run: "false" };

/** What a build needs, with the names of Debian's packages. */
const tools = ["g++", "make", "python3"] as const;

/** @throws StepFailure naming what is missing */
export function needTools({ surroundings: { env } }: Device): void {
  const missing = tools.filter((tool) => !(tool === "g++" && env["CXX"]) && !isOnPath(tool, env));
  if (missing.length > 0)
    throw new StepFailure(
      "Looking for a compiler",
      `not installed: ${missing.join(", ")}`,
      `apt-get install ${missing.join(" ")}`,
    );
}

/** Builds the addon against a library. @throws StepFailure */
export async function buildAddon(device: Device, library: Library): Promise<void> {
  const addon = addonOf(device);
  await linkLibrary(device.root, addon, library);
  const { env } = device.surroundings;
  const ldflags = [env["LDFLAGS"] ?? "", linkFlags(library)].filter((flags) => flags !== "").join(" ");
  // By npm, which says where Node.js keeps its headers, and has a node-gyp.
  const ran = await run(device.surroundings, "npm", {
    args: ["exec", "--offline", "--", "node-pre-gyp", "install", "--build-from-source"],
    cwd: addon,
    env: { ...npmEnv, ...(ldflags !== "" && { LDFLAGS: ldflags }) },
  });
  mustSucceed("Building the addon", ran, () => "Its compiler's output is in the log. It needs g++, make and python3.");
  await dropBuild(addon);
}

/** What only the build needed. */
async function dropBuild(addon: string): Promise<void> {
  const built = (await readdir(addon)).filter((name) => name === "build" || name.startsWith("build-tmp-"));
  for (const name of [...built, join("deps", "include")]) await rm(join(addon, name), { recursive: true, force: true });
}

/** Runs the package's own installer, which downloads a library and an addon from Google's storage. @throws StepFailure */
export async function runInstaller(device: Device): Promise<void> {
  const addon = addonOf(device);
  await rm(join(addon, "deps"), { recursive: true, force: true });
  const args = ["run", "install"];
  const ran = await run(device.surroundings, "npm", { args, cwd: addon, env: npmEnv });
  mustSucceed("The installer of the package", ran, (output) =>
    output.includes("gyp ERR!")
      ? "It found no addon to download, and building one needs g++, make and python3."
      : "It downloads from storage.googleapis.com; TFJS_NODE_CDN_STORAGE names a mirror, with a slash at its end.",
  );
  await dropBuild(addon);
}
