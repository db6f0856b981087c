/** A file system of a few bytes, where this machine lets us mount one. */
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

const run = promisify(execFile);

/** Why there is none; null when tests can mount one. */
export const whyNoDisk = findWhy();

function findWhy(): string | null {
  if (process.platform === "linux" && process.getuid?.() === 0) return null;
  const why = "mounting needs root on Linux";
  if (process.env["CI"]) throw new Error(`${why}. CI has what tests need.`);
  return why;
}

/** Mounts an empty file system at a new folder until the end of the test. `options` as of mount(8), such as size=64k. */
export async function smallDisk(folder: string, options: string): Promise<{ remount(options: string): Promise<void> }> {
  await mkdir(folder, { recursive: true });
  await run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]);
  onTestFinished(async () => {
    await run("umount", ["--lazy", folder]);
  });
  return {
    async remount(changed) {
      await run("mount", ["-o", `remount,${changed}`, folder]);
    },
  };
}
