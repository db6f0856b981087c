/** A driver of NVIDIA's that is not there. */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { scratch } from "./models.ts";

/** The PATH on which nvidia-smi, first of all, is this script of a shell. */
export async function pathWithNvidiaSmi(script: string): Promise<string> {
  const folder = await scratch();
  const path = join(folder, "nvidia-smi");
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return `${folder}:${process.env["PATH"]}`;
}
