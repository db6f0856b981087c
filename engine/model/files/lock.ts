/** A lock between processes: a file with the id of the process that holds it. A dead process of this machine loses it. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { SteplogError } from "../../../schema/errors.ts";
import { isAlive } from "./partial.ts";

/**
 * Runs `work` under the lock, whose folder exists.
 * @param doing what the holder of the lock does, such as "adding this model"
 * @throws CONFLICT when another process holds it
 */
export async function withLock<T>(path: string, doing: string, work: () => Promise<T>): Promise<T> {
  await takeLock(path, doing);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function takeLock(path: string, doing: string): Promise<void> {
  const mine = `${process.pid} ${hostname()}`;
  for (let turn = 0; turn < 2; turn++) {
    try {
      await writeFile(path, mine, { flag: "wx" });
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    const [pid = "", host = ""] = (await readFile(path, "utf8").catch(() => "")).split(" ");
    if (host !== hostname() || isAlive(Number(pid))) {
      throw new SteplogError(
        "CONFLICT",
        `Process ${pid} on ${host} is ${doing}. Wait for it; if it is gone, delete ${path}.`,
      );
    }
    await rm(path, { force: true });
  }
  throw new SteplogError("CONFLICT", `Another process is ${doing}: ${path}.`);
}
