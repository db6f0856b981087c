/** The `steplog model` command, against a data folder of its own: in this process, or as one of its own. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { scratch } from "./models.ts";
import { steplogHere } from "./command.ts";

/** Nothing of whoever runs the tests: neither the token of their login nor the proxies of their network. */
export const nobody = {
  HF_TOKEN: "",
  HUGGING_FACE_HUB_TOKEN: "",
  HF_TOKEN_PATH: "/dev/null",
  ...Object.fromEntries(
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [
      [name, ""],
      [name.toLowerCase(), ""],
    ]),
  ),
};

/** @param command `runSteplog` for a process of its own, as for variables that only Node's start reads */
export async function modelCommand(env: Record<string, string> = {}, command = steplogHere) {
  const data = await scratch();
  const models = join(data, "models");
  const run = (...args: string[]) =>
    command(["model", ...args], { STEPLOG_DATA: data, DATABASE_URL: "", ...nobody, ...env });
  return { data, models, run };
}

/** What people see of a folder. */
export const visible = async (folder: string) =>
  (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith(".")).toSorted();
