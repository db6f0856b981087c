/** The `steplog model` command, against a data folder of its own. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { scratch } from "./models.ts";
import { runSteplog } from "./processes.ts";

export async function modelCommand(env: Record<string, string> = {}) {
  const data = await scratch();
  const models = join(data, "models");
  const run = (...args: string[]) =>
    runSteplog(["model", ...args], { STEPLOG_DATA: data, DATABASE_URL: "", HF_TOKEN: "", ...env });
  return { data, models, run };
}

/** What people see of a folder. */
export const visible = async (folder: string) =>
  (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith(".")).toSorted();
